"""Worker processes that lease jobs side by side until none is left, without doing any work.

Each holds a few jobs at a time, as a light worker does, and ends them together.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from outcrop.clock import SystemClock
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import Lease, Leases
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.patience import PATIENCE_S
from tests.support.toy_jobs import LIGHT, State

OWNERS = ("ada", "bea", "cora", "dora")
_HELD = 8


@dataclass(frozen=True, kw_only=True)
class DrainedQueue:
    """A queue that worker processes have emptied."""

    leased: Counter[str]
    "How often each job was leased."
    by_worker: tuple[int, ...]
    seconds: float
    "From the word to go until the last worker found nothing."


def add_jobs(settings: Settings, number: int) -> list[str]:
    """The ARNs of new jobs of several owners."""
    store = Store.open(settings)
    jobs = Jobs(store, SystemClock(), [LIGHT])
    with store.transaction():
        arns = [_add(jobs, each) for each in range(number)]
    store.close()
    return arns


def _add(jobs: Jobs, number: int) -> str:
    arn = f"arn:aws:bedrock:r:1:{LIGHT.name}/{number:06d}"
    document = {"naps": 0, "seconds": 0.0}
    owner = OWNERS[number % len(OWNERS)]
    return jobs.add(LIGHT, job_arn=arn, name=f"job-{number}", region="r", document=document, owner=owner).arn


def drain(settings: Settings, *, workers: int) -> DrainedQueue:
    """Let worker processes lease every job that waits; all begin at the same moment."""
    command = [sys.executable, "-m", "tests.support.leasing", str(settings.home)]
    environment = os.environ | {"OUTCROP_DATABASE_URL": settings.database_url}
    processes = [
        subprocess.Popen(
            [*command, f"w{number}"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(workers)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate(timeout=PATIENCE_S * 5)[0]) for process in processes]
    seconds = time.monotonic() - began
    assert [process.returncode for process in processes] == [0] * workers
    return DrainedQueue(
        leased=Counter(job for jobs in told for job in jobs), by_worker=tuple(map(len, told)), seconds=seconds
    )


def _work(settings: Settings, worker: str) -> list[str]:
    """Lease and end jobs until there are none; returns their ARNs."""
    store = Store.open(settings)
    jobs, leases = Jobs(store, SystemClock(), [LIGHT]), Leases(store, [LIGHT])
    print("ready", flush=True)
    sys.stdin.readline()
    taken: list[str] = []
    while True:
        held: list[Lease] = []
        while len(held) < _HELD:
            lease = leases.take(worker, now=datetime.now(UTC), holding=[each.job for each in held])
            if lease is None:
                break
            held.append(lease)
        if not held:
            return taken
        taken += [lease.job for lease in held]
        with store.transaction():
            for lease in held:
                jobs.end(lease.job, State.RESTED)
                leases.release(lease, now=datetime.now(UTC))


if __name__ == "__main__":
    place = Settings(home=Path(sys.argv[1]), database_url=os.environ["OUTCROP_DATABASE_URL"])
    print(json.dumps(_work(place, sys.argv[2])))
