"""Workers of both classes as real processes, with a kind of job that is nobody's but this test's: killed, resumed,
stopped, listed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outcrop.jobs.kinds import JobKind
from tests.support.patience import PATIENCE_S, eventually
from tests.support.toy_house import ToyHouse
from tests.support.toy_jobs import HEAVY, LIGHT


@contextmanager
def worker(house: ToyHouse, kind: JobKind[Any]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.support.toy_jobs", "--home", str(house.settings.home)]
    with subprocess.Popen([*command, "--class", kind.worker], stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def naps(house: ToyHouse, arn: str) -> int:
    return int(house.get(arn).document.get("napped", 0))


@pytest.mark.parametrize("kind", [LIGHT, HEAVY], ids=["light", "heavy"])
def test_a_killed_worker_s_jobs_go_on_and_can_be_stopped(tmp_path: Path, kind: JobKind[Any]) -> None:
    house = ToyHouse.open(tmp_path)
    long, short = house.add("long", kind, naps=100_000, seconds=0.05), house.add("short", kind, naps=2)
    with worker(house, kind):
        eventually(lambda: naps(house, long) >= 2)
    before = naps(house, long)
    assert house.get(long).status == "Napping"

    with worker(house, kind) as successor:
        eventually(lambda: naps(house, long) > before)
        house.jobs.request_stop(long)
        eventually(lambda: house.get(long).status == "Stopped")
        if kind is HEAVY:  # which ends after each job, for the next to have all the memory
            assert successor.wait(PATIENCE_S) == 0
        else:
            eventually(lambda: house.get(short).status == "Rested")
            successor.send_signal(signal.SIGTERM)
            assert successor.wait(PATIENCE_S) == 0
    if kind is HEAVY:
        with worker(house, kind) as third:
            assert third.wait(PATIENCE_S) == 0
    assert {job.name: job.status for job in house.store.resources.all(kind.name)} == {
        "long": "Stopped",
        "short": "Rested",
    }
    assert house.jobs.running(kind) == []
    house.store.close()
