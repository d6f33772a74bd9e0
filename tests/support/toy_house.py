"""The rooms of a worker that knows the toy kinds, in this very process."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from outcrop.clock import Clock, MovableClock
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.kinds import JobKind
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from outcrop.store.store import Store
from outcrop.worker.work import Worker
from tests.support.toy_jobs import LIGHT, TOYS


@dataclass(frozen=True, kw_only=True)
class ToyHouse:
    settings: Settings
    store: Store
    clock: Clock
    jobs: Jobs

    @classmethod
    def open(cls, home: Path, kinds: Sequence[JobKind[Any]] = TOYS) -> "ToyHouse":
        settings, clock = Settings(home=home), MovableClock()
        store = Store.open(settings)
        return cls(settings=settings, store=store, clock=clock, jobs=Jobs(store, clock, kinds))

    def add(self, name: str, kind: JobKind[Any] = LIGHT, *, naps: int = 1, seconds: float = 0.0, **more: Any) -> str:
        """The ARN of a new job, a second younger than the one before."""
        document = {"naps": naps, "seconds": seconds, **more.pop("document", {})}
        if isinstance(self.clock, MovableClock):
            self.clock.move(timedelta(seconds=1))
        arn = f"arn:aws:bedrock:r:1:{kind.name}/{name}"
        return self.jobs.add(kind, job_arn=arn, name=name, region="r", document=document, **more).arn

    def get(self, arn: str) -> Resource:
        return self.jobs.get(arn)


class Numbers:
    """The measurements that jobs have reported."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, float]]] = []

    def __call__(self, arn: str, numbers: Mapping[str, float]) -> None:
        self.told.append((arn, numbers))


@contextmanager
def light_worker(house: ToyHouse, kinds: Sequence[JobKind[Any]], numbers: Numbers | None = None) -> Any:
    """A light worker in a thread, ended with the block."""
    stop = threading.Event()
    thread = threading.Thread(target=Worker(house, kinds, stop=stop, numbers=numbers or Numbers()).run_many)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
