"""The work of a worker: take a job, run it while its lease is renewed, give it back.

A heavy worker runs one job and ends, which gives all memory back. A light worker stays, with several jobs at once, each
in a thread of its own.
"""

import logging
import threading
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from outcrop import logs
from outcrop.clock import Clock
from outcrop.jobs import lease_folders
from outcrop.jobs.execution import execute
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.jobs.leases import Lease, Leases
from outcrop.jobs.running import Numbers, RunningJob
from outcrop.loops import Loop, contained
from outcrop.machine.memory_folder import remove_memory_folder
from outcrop.settings import Settings
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch
from outcrop.worker.pulse import Pulse

NAMES = {WorkerClass.HEAVY: "worker-1", WorkerClass.LIGHT: "light-1"}
"""One worker of a class under a supervisor: after a crash its successor has the same name, and so takes its jobs up at
once. Workers of a cluster have other names."""
MOST_AT_ONCE = 8
"Jobs of a light worker at the same time, beside those that only wait for their children."
_PAUSE_S = 0.2
_LOOK_S = 5.0
"So often an idle worker looks for jobs though nobody has written: a lease may have run out."
_log = logging.getLogger("outcrop.worker")


class WorkEnd(StrEnum):
    """How the work on a job ended for its worker."""

    DONE = "done"
    "The job ended."
    INTERRUPTED = "interrupted"
    "The worker is to end, and its successor goes on."
    TAKEN_OVER = "taken over"
    "Another worker has the job."


class WorkerRooms(Protocol):
    """The components (rooms) of its process that a worker needs; kinds of job need more."""

    @property
    def settings(self) -> Settings: ...
    @property
    def store(self) -> Store: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def jobs(self) -> Jobs: ...


class Worker:
    """The work of one process on the jobs of some kinds, all of one class."""

    def __init__(
        self,
        house: WorkerRooms,
        kinds: Sequence[JobKind[Any]],
        *,
        stop: threading.Event,
        numbers: Numbers = lambda _arn, _numbers: None,
        name: str | None = None,
        only: str | None = None,
    ) -> None:
        """`stop` is set when the process is to end; `numbers` is told what the jobs measure.

        `name` is the one of its leases; None: that of the only worker of its class. `only`: the ARN of the one job that
        it takes; it ends where that is not to be had.
        """
        self._house = house
        self._name = name or NAMES[kinds[0].worker]
        self._only = only
        self._stop = stop
        self._numbers = numbers
        self._leases = Leases(house.store, kinds)
        self._threads: dict[str, tuple[threading.Thread, RunningJob]] = {}
        self._loop = Loop(f"{kinds[0].worker} worker")
        self._watch = ChangeWatch(house.store.engine)
        self._look_at = 0.0
        self._waiting: dict[str, bool] = {}
        "Whether each job that ran at the last turn only waited."

    def run_one(self) -> WorkEnd | None:
        """The heavy worker: wait for one job and run it; a job broken off goes on in the next worker.

        None where there was none.
        """
        while not self._stop.is_set():
            lease = None
            with self._loop.turn():
                lease = self._take() if self._may_find() else None
            if lease is not None:
                return self._run(lease, *self._prepared(lease))
            if self._only is not None:
                break
            self._stop.wait(_PAUSE_S)
        return None

    def _may_find(self) -> bool:
        """Whether there may be a job that was not there at the last look."""
        with self._watch.news() as moved:
            if not moved and time.monotonic() < self._look_at:
                return False
        self._look_at = time.monotonic() + _LOOK_S
        return True

    def run_many(self) -> None:
        """The light worker: run jobs until it is to end, then wait for those that run to notice."""
        try:
            while not self._stop.is_set():
                with self._loop.turn():
                    if self._has_moved() or self._may_find():
                        self._begin_what_is_free()
                self._stop.wait(_PAUSE_S)
        finally:
            self._stop.set()  # also where the loop gave up: nobody would begin anything here any more
            for thread, _ in self._threads.values():
                thread.join()

    def _has_moved(self) -> bool:
        """Whether a job has ended since the last turn, or begun to wait: another may take its place."""
        self._threads = {arn: each for arn, each in self._threads.items() if each[0].is_alive()}
        before, self._waiting = self._waiting, {arn: job.waits for arn, (_, job) in self._threads.items()}
        return self._waiting != before

    def _begin_what_is_free(self) -> None:
        while sum(not job.waits for _, job in self._threads.values()) < MOST_AT_ONCE:
            lease = self._take()
            if lease is None:
                return
            pulse, job = self._prepared(lease)
            thread = threading.Thread(target=self._run_contained, args=(lease, pulse, job), name=job.id)
            self._threads[lease.job] = (thread, job)
            self._waiting[lease.job] = False
            thread.start()

    def _take(self) -> Lease | None:
        return self._leases.take(self._name, now=self._house.clock.now(), holding=self._threads.keys(), only=self._only)

    def _prepared(self, lease: Lease) -> tuple[Pulse, RunningJob]:
        pulse = Pulse(self._house.clock, self._leases, lease, on_end=self._stop.set)
        job = RunningJob(
            self._house.jobs,
            lease.kind,
            lease.job,
            attempt=lease.attempts,
            number=lease.number,
            stop=self._stop,
            is_held=pulse.is_held,
            told=pulse.report,
            numbers=self._numbers,
            hide=self._house.settings.hidden,
        )
        return pulse, job

    def _run_contained(self, lease: Lease, pulse: Pulse, job: RunningJob) -> None:
        """Run a job in a thread, where an end that could not be recorded must not pass unseen. The job then keeps its
        lease, and is taken up again as after a crash."""
        with contained(_log, f"job {lease.job}"):
            self._run(lease, pulse, job)

    def _run(self, lease: Lease, pulse: Pulse, job: RunningJob) -> WorkEnd:
        logs.tell(_log, "job taken", job=lease.job, attempt=lease.attempts, lease=lease.number)
        alone = lease.kind.worker is WorkerClass.HEAVY
        with pulse, self._leases.fenced(lease, whole_process=alone):
            ended = execute(self._house, job)
        if ended:
            self._leases.release(lease, now=self._house.clock.now())
            return WorkEnd.DONE
        if self._leases.is_held(lease):
            return WorkEnd.INTERRUPTED
        logs.tell(_log, "job taken by another worker", level=logging.WARNING, job=lease.job, lease=lease.number)
        lease_folders.remove(self._house.settings.runs, job.id, number=lease.number)
        remove_memory_folder(self._house.settings.home, f"{job.id}.{lease.number}")
        return WorkEnd.TAKEN_OVER
