"""A transform job, carried out: a model started for it alone, and asked record by record.

Each object's answers are written as one object, in the order of its records. A worker that is killed goes on with the
object that was not written.
"""

import asyncio
import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from outcrop.data.data import RoleData
from outcrop.errors import NotReady, Refusal, Throttled
from outcrop.invocation.several import together
from outcrop.jobs.running import JobFailed, RunningJob
from outcrop.sagemaker import channels
from outcrop.sagemaker.hosting import invoking
from outcrop.sagemaker.hosting.endpoints import EndpointRecord
from outcrop.sagemaker.hosting.fleets import Fleets
from outcrop.sagemaker.hosting.invoking import ModelRequest
from outcrop.sagemaker.hosting.plans import EndpointPlan, FleetPlan, VariantPlan
from outcrop.sagemaker.hosting.rooms import InvokingRooms
from outcrop.sagemaker.hosting.routing import Route
from outcrop.sagemaker.hosting.starting import FleetStart
from outcrop.sagemaker.training_request import SERVICE

_MB = 1 << 20
_PAYLOAD_MB = 6
_TIMEOUT_S, _RETRIES = 600, 3
_AGAIN_S = 0.5
_BINARY = "application/octet-stream"


def run(house: InvokingRooms, job: RunningJob) -> None:
    """The whole road of one transform job. Raises what ends the job or its worker."""
    _Transform(house, job).run()


class _Transform:
    """An attempt at a transform job."""

    def __init__(self, house: InvokingRooms, job: RunningJob) -> None:
        self._house = house
        self._job = job
        self._request: Mapping[str, Any] = job.record.document["request"]
        self._fleet = FleetPlan.from_document(job.record.document["fleet"])
        sealed_by = self._request["TransformOutput"].get("KmsKeyId", "")
        self._data = house.data.under(self._fleet.role, source_arn=job.arn, service=SERVICE, kms_key_id=sealed_by)

    def run(self) -> None:
        with ExitStack() as left:
            left.callback(self._end_copies)
            start = FleetStart(
                house=self._house,
                job=self._job,
                fleet=self._fleet,
                region=self._job.record.region,
                variant="AllTraffic",
                asked=self._job.record.created,
                check=self._job.check,
            )
            start.make_ready()
            start.wait()
            if "beganTransform" not in self._job.record.document:
                self._job.note(beganTransform=self._house.clock.now().isoformat())
            objects = self._objects()
            for number, (uri, name) in enumerate(objects.items()):
                if number >= self._job.record.document["numDone"]:
                    self._job.report(f"{name} ({number + 1} of {len(objects)})")
                    self._answer_object(uri, name)
                    self._job.note(numDone=number + 1)

    def _end_copies(self) -> None:
        if not self._job.interrupted():
            for name in self._fleet.copies:
                Fleets(self._house).clear(name)

    def _objects(self) -> dict[str, str]:
        """The names of the objects' answers, by the URIs of the objects. Raises JobFailed."""
        source = self._request["TransformInput"]["DataSource"]["S3DataSource"]
        try:
            return channels.objects_of(self._data, source["S3Uri"], is_manifest=source["S3DataType"] == "ManifestFile")
        except Refusal as refused:
            raise JobFailed(f"ClientError: {refused.message}") from refused

    def _answer_object(self, uri: str, name: str) -> None:
        records = records_of(_content(self._data, uri, self._request["TransformInput"]), self._request)
        answers = self._house.asking_loop.run(self._answers(records, name))
        output = self._request["TransformOutput"]
        joined = b"".join(answer + b"\n" for answer in answers) if _is_line(output) else b"".join(answers)
        place = f"{output['S3OutputPath'].rstrip('/')}/{name}.out"
        self._data.put(place, joined, content_type=output.get("Accept", _BINARY))

    async def _answers(self, records: Sequence[bytes], name: str) -> list[bytes]:
        """The answers to all requests of an object, in their order. Raises what ends the job."""
        most = asyncio.Semaphore(max(1, self._request.get("MaxConcurrentTransforms") or self._fleet.num_copies))

        async def one(number: int, record: bytes) -> bytes:
            async with most:
                self._job.check()
                return await self._answer(record, f"{name}, request {number}")

        return list(await together([one(number, record) for number, record in enumerate(records, start=1)]))

    async def _answer(self, record: bytes, place: str) -> bytes:
        config = self._request.get("ModelClientConfig", {})
        request = ModelRequest(
            body=record,
            content_type=self._request["TransformInput"].get("ContentType"),
            accept=self._request["TransformOutput"].get("Accept"),
            answer_s=float(config.get("InvocationsTimeoutInSeconds", _TIMEOUT_S)),
        )
        for left in range(config.get("InvocationsMaxRetries", _RETRIES), -1, -1):
            try:
                return (await invoking.answer(self._house, self._route, request)).body
            except (NotReady, Throttled) as away:
                if not left:
                    raise JobFailed(f"{place}: {away.message}") from away
                await asyncio.sleep(_AGAIN_S)
            except Refusal as refused:
                raise JobFailed(f"{place}: {refused.message}") from refused
        raise AssertionError("the last try answers, or raises")

    @property
    def _route(self) -> Route:
        variant = VariantPlan(name="AllTraffic", weight=1.0, fleet=self._fleet)
        plan = EndpointPlan(config_name="", variants=(variant,))
        row = self._job.record
        return Route(
            endpoint=EndpointRecord(row=row, generation=1, serving=plan, desired=plan, failure=None),
            endpoint_name=str(row.name),
            variant=variant,
            fleet=self._fleet,
            model=Fleets(self._house).hosted(self._fleet),
        )


def _content(data: RoleData, uri: str, source: Mapping[str, Any]) -> bytes:
    content = data.read(uri)
    if source.get("CompressionType", "None") != "Gzip":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise JobFailed(f"ClientError: {uri}: no whole gzip file ({error}). Upload it again.") from error


def records_of(content: bytes, request: Mapping[str, Any]) -> list[bytes]:
    """The bodies of the requests for one object."""
    if request["TransformInput"].get("SplitType", "None") == "None":
        return [content]
    lines = [line for line in content.split(b"\n") if line.strip()]
    if request.get("BatchStrategy", "MultiRecord") == "SingleRecord":
        return lines
    return list(_batches(lines, most_bytes=request.get("MaxPayloadInMB", _PAYLOAD_MB) * _MB or _PAYLOAD_MB * _MB))


def _batches(lines: Sequence[bytes], *, most_bytes: int) -> Iterator[bytes]:
    """Lines put together, as many as a request may hold; one that is larger is sent alone."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and size + len(line) + 1 > most_bytes:
            yield b"\n".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield b"\n".join(batch)


def _is_line(output: Mapping[str, Any]) -> bool:
    return bool(output.get("AssembleWith", "None") == "Line")
