"""`python -m outcrop.worker.serve --home H`: the worker. It waits for a job, runs it in this very process, and ends.

Ending after each job gives all memory back; the supervisor starts the next worker at once. Until a job comes, torch is
not imported, so an idle worker weighs little.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

from outcrop import logs, private
from outcrop import settings as settings_of
from outcrop.clock import Clock, SystemClock
from outcrop.customization import memory
from outcrop.house import House
from outcrop.jobs.leases import Lease, Leases
from outcrop.loops import Loop, LoopEnded
from outcrop.processes import die_with_parent

NAME = "worker-1"
"One worker a machine: after a crash its successor has the same name, and so takes its job up at once."
_PAUSE_S = 0.2
_RENEW_S = 5.0
_log = logging.getLogger("outcrop.worker")


def work(house: House, *, stop: threading.Event) -> None:
    """Wait for one job and run it to its end, or until `stop`; a job broken off goes on in the next worker."""
    leases = Leases(house.store.engine, house.store.resources)
    while not stop.is_set():
        lease = leases.take(NAME, now=house.clock.now())
        if lease is not None:
            _run(house, leases, lease, stop)
            return
        stop.wait(_PAUSE_S)


def _run(house: House, leases: Leases, lease: Lease, stop: threading.Event) -> None:
    logs.tell(_log, "job taken", job=lease.job, attempt=lease.attempts)
    pulse = Pulse(house.clock, leases, lease, on_end=stop.set)
    with pulse, _memory_for(house, lease.job, stop):
        ended = not stop.is_set() and _run_job(house, lease, pulse, stop)
    if ended:
        leases.release(lease)


def _run_job(house: House, lease: Lease, pulse: "Pulse", stop: threading.Event) -> bool:
    from outcrop.customization import run  # torch comes with it

    return run.run(house, lease.job, attempt=lease.attempts, report=pulse.report, interrupted=stop.is_set)


def _memory_for(house: House, job: str, stop: threading.Event) -> AbstractContextManager[None]:
    """Waits until there is room for the job, until it is to stop, or this worker to end; and then holds the memory."""
    row = house.store.resources.row(job)
    name = job.rsplit("/", 1)[-1] if row is None or row.name is None else row.name

    def waits(sentence: str) -> None:
        logs.tell(_log, "job waits for memory", job=job, note=sentence)

    return house.sharing.held(
        job,
        f"the training {name}",
        memory.least_for(house.catalog, house.models, row),
        until=lambda: stop.is_set() or not house.jobs.is_going_on(job),
        waits=waits,
    )


class Pulse:
    """Renews the lease while the job runs, however long one step takes.

    When it cannot any more, whatever it tries, `on_end` is told: the worker ends, and its successor takes the job up.
    """

    def __init__(self, clock: Clock, leases: Leases, lease: Lease, *, on_end: Callable[[], None]) -> None:
        self._clock = clock
        self._leases = leases
        self._lease = lease
        self._on_end = on_end
        self._loop = Loop("lease")
        self._progress = ""
        self._ended = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def report(self, progress: str) -> None:
        """Tell how far the job has come, in any words that change with it."""
        if progress != self._progress:
            self._progress = progress
            self._news.set()

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._news.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._ended.is_set():
                # Progress is written at once: a worker killed right after must not count as one that came no further.
                self._news.wait(_RENEW_S)
                self._news.clear()
                # One worker a machine: nobody takes the job while the disk is full, and the next beat tries again.
                with self._loop.turn():
                    self._leases.renew(self._lease, now=self._clock.now(), progress=self._progress)
        except LoopEnded:
            self._on_end()


def main() -> int:
    die_with_parent()
    private.only_ours()
    # Read when torch is imported. A thread that waits for its siblings should spin for a moment, then sleep: on a
    # crowded machine, spinning on made a step several times slower; sleeping at once costs a third of the speed when
    # nothing else runs. What this value does on a crowded machine was not measured by itself.
    os.environ.setdefault("GOMP_SPINCOUNT", "100000")
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    asked = parser.parse_args()
    logs.write_json_lines()
    stop = threading.Event()

    def hear(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, hear)
    settings = settings_of.read(home=asked.home, host=asked.host, port=asked.port)
    work(House.open(settings, SystemClock()), stop=stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
