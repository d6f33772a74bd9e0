"""`python -m outcrop.worker.serve --home H --class heavy`: a worker, which takes the jobs of its class.

Until a job comes, torch is not imported, so an idle worker weighs little. A heavy worker ends after each job, and the
supervisor starts the next one at once.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from outcrop import kinds as kinds_of
from outcrop import logs, private
from outcrop import settings as settings_of
from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.loops import LoopEnded
from outcrop.machine import openmp
from outcrop.machine.processes import die_with_parent
from outcrop.metrics import measurements
from outcrop.worker.work import WorkEnd, Worker


def main(arguments: Sequence[str] | None = None, kinds: Sequence[JobKind[Any]] = kinds_of.KINDS) -> int:
    die_with_parent()
    private.only_ours()
    os.environ.update(openmp.for_training())
    asked = _parser().parse_args(arguments)
    logs.write_json_lines()
    stop = threading.Event()

    def hear(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, hear)
    settings = settings_of.read(home=asked.home, host=asked.host, port=asked.port)
    house = House.open(settings, SystemClock(), kinds=kinds)
    with measurements.of_jobs(house.points) as numbers:
        mine = kinds_of.of_class(asked.worker_class, kinds)
        worker = Worker(house, mine, stop=stop, numbers=numbers, name=asked.name, only=asked.job)
        try:
            if asked.worker_class is WorkerClass.HEAVY:
                if worker.run_one() is WorkEnd.TAKEN_OVER:
                    numbers.forget_unwritten()
            else:
                worker.run_many()
        except LoopEnded:
            return 1  # its last words are in the log; the supervisor starts the next one
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--class", dest="worker_class", type=WorkerClass, default=WorkerClass.HEAVY)
    parser.add_argument("--name", help="Of its leases; no two workers have the same.")
    parser.add_argument("--job", help="The ARN of the only job that it takes.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
