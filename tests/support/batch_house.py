"""A home with a bucket, an engine double behind the bundled base model, and batch jobs run in this very process."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from outcrop.access.needs.named import FOUNDATION, Named
from outcrop.batch import create_job
from outcrop.batch.kind import KIND
from outcrop.clock import MovableClock
from outcrop.house import House
from outcrop.jobs.execution import execute
from outcrop.jobs.running import RunningJob
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from tests.support.engine_double import EngineDouble
from tests.support.speaking_engine import speaking_engine

BASE, BUCKET, REGION = "outcrop.starter-v1", "batch", "us-east-1"
OWNER = "arn:aws:iam::123456789012:user/somebody"


class Killed(BaseException):
    """What `kill -9` is to a process: nothing of the job's code runs after it but what closes things."""


class KilledJob(RunningJob):
    """A job whose worker is killed at a look around."""

    killed_when: Callable[[], bool]

    def check(self) -> None:
        if self.killed_when():
            raise Killed
        super().check()


class BatchHouse:
    """Batch jobs of one home."""

    def __init__(self, house: House, engine: EngineDouble) -> None:
        self.house = house
        self.engine = engine
        self.role = house.access.installation.service_role_arn
        self._names = 0
        house.buckets.create(BUCKET, REGION)

    def next_number(self) -> int:
        """A number that was not given before."""
        self._names += 1
        return self._names

    def put(self, key: str, *lines: Any) -> None:
        """An object of lines; what is no bytes is written as JSON."""
        written = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        self.house.buckets.put_bytes(BUCKET, key, b"".join(line + b"\n" for line in written))

    def create(self, key: str = "in/", **params: Any) -> str:
        """The ARN of a new job over an object or a prefix; the output goes to `out/`."""
        asked = {
            "jobName": f"job-{self.next_number()}",
            "roleArn": self.role,
            "modelId": BASE,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/{key}"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"}},
            **params,
        }
        thing = Named(kind=FOUNDATION, arn=BASE, is_known=True, foundation=self.house.catalog.find(asked["modelId"]))
        account = self.house.account
        return create_job.create(self.house, asked, thing=thing, row=None, region=REGION, account=account, owner=OWNER)

    def work(self, job: str, *, stop: threading.Event | None = None) -> Resource:
        """Run the job as a worker does; its record then."""
        execute(self.house, RunningJob(self.house.jobs, KIND, job, stop=stop or threading.Event()))
        return self.house.jobs.get(job)

    def work_until(self, job: str, killed_when: Callable[[], bool]) -> bool:
        """Run the job until the worker is killed, when a look around finds this; whether it came to that."""
        running = KilledJob(self.house.jobs, KIND, job, stop=threading.Event())
        running.killed_when = killed_when
        try:
            execute(self.house, running)
        except Killed:
            return True
        return False

    def half_done(self, place: str, *, when: Callable[[str], bool] = lambda _job: True, **params: Any) -> str:
        """The ARN of a job of sixty records of which the engine answered some of the first forty.

        Once a result is written, `when` is told the job; its worker is killed if that says so, else it ends by itself.
        """
        self.put(f"{place}/a.jsonl", *(asked("short" if number < 40 else "long " * 9) for number in range(60)))
        job = self.create(f"{place}/", **params)
        results = self.folder(job) / "output" / "000000.out"
        self.engine.hangs_up_on = lambda body: len(body["prompt"]) > 9
        self.work_until(job, lambda: results.exists() and b"\n" in results.read_bytes() and when(job))
        self.engine.hangs_up_on = lambda _body: False
        return job

    def folder(self, job: str) -> Path:
        """What the job keeps on this machine while it runs."""
        return self.house.settings.runs / job.rsplit("/", 1)[-1]

    def output(self, job: str, name: str) -> list[dict[str, Any]]:
        """The results in one file of the output."""
        data = self.house.buckets.read_bytes(BUCKET, f"out/{job.rsplit('/', 1)[-1]}/{name}")
        return [json.loads(line) for line in data.splitlines()]

    def manifest(self, job: str) -> dict[str, int]:
        (counts,) = self.output(job, "manifest.json.out")
        return counts


def asked(text: str, **more: Any) -> dict[str, Any]:
    """A record that the base model answers."""
    return {"modelInput": {"prompt": text, "max_tokens": 8}, **more}


def repeating(body: dict[str, Any]) -> list[int]:
    """An engine's answer of three tokens, which tell what the prompt began with."""
    prompt: list[int] = body["prompt"]
    return (prompt[1:] * 3)[:3]


@contextmanager
def batch_house(
    home: Path,
    *,
    say: Callable[[dict[str, Any]], list[int]] = repeating,
    clock: MovableClock | None = None,
    **settings: Any,
) -> Iterator[BatchHouse]:
    with (
        House.open(Settings(home=home, **settings), clock or MovableClock()) as house,
        speaking_engine(house, BASE, say) as engine,
    ):
        yield BatchHouse(house, engine)


def texts(results: Sequence[dict[str, Any]]) -> list[str | None]:
    """The first three letters of the results' texts; None where there is an error."""
    return [result["modelOutput"]["choices"][0]["text"][:3] if "modelOutput" in result else None for result in results]
