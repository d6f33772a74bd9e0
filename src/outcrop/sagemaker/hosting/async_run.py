"""An asynchronous invocation: its body read from S3, its answer written there, under its model's role.

Where the endpoint has no copies now, the request waits until it has, or its time is over.
"""

from datetime import timedelta

from outcrop.data.data import RoleData
from outcrop.errors import Invalid, NotReady, Refusal, Throttled
from outcrop.jobs.running import JobFailed, RunningJob
from outcrop.sagemaker.hosting import invoking
from outcrop.sagemaker.hosting.invoking import ModelAnswer, ModelRequest
from outcrop.sagemaker.hosting.rooms import InvokingRooms
from outcrop.sagemaker.hosting.routing import NoCopies, Route
from outcrop.sagemaker.training_request import SERVICE

_AGAIN_S = 0.5
_MOST_BYTES = 1 << 30
_BINARY = "application/octet-stream"


def run(house: InvokingRooms, job: RunningJob) -> None:
    """Ask, and write what was answered. Raises JobFailed once the failure is written."""
    document, region = job.record.document, job.record.region
    until = job.record.created + timedelta(seconds=document["ttlSeconds"])
    data: RoleData | None = None
    try:
        while True:
            job.check()
            try:
                route = house.endpoint_router.find(region, document["endpointName"], variant=None, component=None)
                data = _data(house, route)
                answer = _asked(house, job, route, data)
                break
            except (NoCopies, NotReady, Throttled) as away:
                if house.clock.now() > until:
                    raise
                job.report(away.message)
                job.pause(_AGAIN_S)
        data.put(document["output"], answer.body, content_type=answer.content_type or _BINARY)
    except Refusal as refused:
        if data is not None and document["failure"] is not None:
            data.put(document["failure"], refused.message.encode(), content_type="text/plain")
        raise JobFailed(refused.message) from refused


def _data(house: InvokingRooms, route: Route) -> RoleData:
    return house.data.under(route.fleet.role, source_arn=route.endpoint.row.arn, service=SERVICE)


def _asked(house: InvokingRooms, job: RunningJob, route: Route, data: RoleData) -> ModelAnswer:
    document = job.record.document
    record = data.find(document["input"])
    if record.size > _MOST_BYTES:
        raise Invalid(f"{document['input']}: {record.size:,} bytes, and a request has a gigabyte at most.")
    request = ModelRequest(
        body=data.read(document["input"]),
        content_type=document["contentType"],
        accept=document["accept"],
        attributes=document["attributes"],
        answer_s=float(document["timeoutSeconds"]),
    )
    return house.asking_loop.run(invoking.answer(house, route, request))
