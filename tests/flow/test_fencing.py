"""A worker that was paused, and comes back when another has its job, writes nothing any more."""

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from outcrop.clock import SystemClock
from outcrop.customization.kind import KIND
from outcrop.house import House
from outcrop.jobs import lease_folders
from outcrop.jobs.leases import Leases
from outcrop.jobs.running import LeaseLost
from outcrop.metrics import measurements
from outcrop.store.database import reading
from outcrop.worker.work import WorkEnd, Worker
from tests.support.homes import with_tiny_models
from tests.support.job_house import BUCKET, JobHouse
from tests.support.patience import PATIENCE_S, eventually
from tests.support.toy_house import ToyHouse
from tests.support.toy_jobs import HEAVY

STEPS = 6
"Of the training below: twelve records, four at once, twice."


@contextmanager
def worker(house: ToyHouse, name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.support.toy_jobs", "--home", str(house.settings.home)]
    with (
        log.open("wb") as printed,
        subprocess.Popen([*command, "--class", "heavy", "--name", name], stderr=printed) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def pause(process: subprocess.Popen[bytes], house: ToyHouse) -> None:
    """Stop a process between two of its writes: in the middle of one it would keep SQLite's lock, and nobody could take
    its job, nor write anything else."""

    def is_stopped_without_the_lock() -> bool:
        process.send_signal(signal.SIGSTOP)
        with closing(sqlite3.connect(house.settings.home / "outcrop.db", timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                return False
        return True

    eventually(is_stopped_without_the_lock)


def test_a_worker_that_was_stopped_meanwhile_gives_its_job_up(tmp_path: Path) -> None:
    house = ToyHouse.open(tmp_path)
    job = house.add("long", HEAVY, naps=100_000, seconds=0.02)

    def naps() -> int:
        return int(house.get(job).document.get("napped", 0))

    # Given a worker that is paused in the middle of its job, and another that has taken the job and gone further
    with worker(house, "first", tmp_path / "first.log") as first:
        eventually(lambda: naps() >= 2)
        pause(first, house)
        assert Leases(house.store, [HEAVY]).give_up("first", now=SystemClock().now()) == [job]
        before = naps()
        with worker(house, "second", tmp_path / "second.log") as second:
            eventually(lambda: naps() > before + 2)
            pause(second, house)
            further = house.get(job)
            # when the first one comes back
            first.send_signal(signal.SIGCONT)
            # then it ends by itself, and the job is as it was
            assert first.wait(PATIENCE_S) == 0
            assert house.get(job) == further
            second.send_signal(signal.SIGCONT)
            eventually(lambda: naps() > further.document["napped"])
    events = [json.loads(line)["event"] for line in (tmp_path / "first.log").read_text().splitlines()]
    assert events[0] == "job taken"
    assert "job taken by another worker" in events
    house.store.close()


def written(house: JobHouse, tables: list[str]) -> dict[str, Any]:
    """Everything that a job writes: rows, objects, and files of models and runs."""
    home = house.settings.home
    with reading(house.context.store.engine) as connection:
        rows = {table: connection.execute(sql.text(f"SELECT * FROM {table}")).all() for table in tables}
    files = [path for folder in ("models", "runs") for path in (home / folder).rglob("*") if path.is_file()]
    return {
        **{table: sorted(map(str, kept)) for table, kept in rows.items()},
        **{str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }


@pytest.mark.parametrize(
    "after_step",
    [2, pytest.param(STEPS, marks=pytest.mark.soak)],
    ids=["in the middle", "with the model to be written"],
)
def test_a_training_whose_lease_was_taken_changes_nothing(tmp_path: Path, after_step: int) -> None:
    house = JobHouse(with_tiny_models(tmp_path))
    job = house.create("twice", more={"outcrop.evaluationsPerEpoch": "1"})
    other = House.open(house.settings, SystemClock())
    steps, after, refused = 0, dict[str, Any](), list[LeaseLost]()
    tables = ["resources", "objects", "leases", "metric_points", "tags", "memory_reservations", "jobs"]

    def run(rooms: House, name: str, numbers: Any) -> WorkEnd | None:
        return Worker(rooms, [KIND], stop=threading.Event(), numbers=numbers, name=name, only=job).run_one()

    def taken_over(arn: str, numbers: Mapping[str, float]) -> None:
        """In the middle of the first worker's run, a second one does all of the job."""
        nonlocal steps
        steps += "Step" in numbers
        measured(arn, numbers)
        if steps == after_step and not after:
            house.context.points.flush()
            Leases(other.store, [KIND]).give_up("first", now=SystemClock().now())
            second = threading.Thread(target=run, args=(other, "second", lambda _arn, _numbers: None))
            second.start()
            second.join()
            after.update(written(house, tables))
        if after:
            measured(arn, numbers)
            try:
                house.context.points.flush()
            except LeaseLost as lost:
                refused.append(lost)

    measured = measurements.of_jobs(house.context.points)
    assert run(house.context, "first", taken_over) is WorkEnd.TAKEN_OVER

    assert refused, "what the first one measures after that is not written either"
    assert house.context.jobs.get(job).status == "Completed"
    assert written(house, tables) == after
    assert house.context.buckets.read_bytes(BUCKET, f"{house.folder(job)}/training_artifacts/events.jsonl")
    other.close()
    house.context.close()


def test_a_folder_goes_from_lease_to_lease_and_never_back(tmp_path: Path) -> None:
    first = lease_folders.take_up(tmp_path, "job", 1)
    first.mkdir()
    (first / "checkpoint").write_text("step 3")
    second = lease_folders.take_up(tmp_path, "job", 2)
    assert (second / "checkpoint").read_text() == "step 3"
    assert lease_folders.take_up(tmp_path, "job", 2) == second
    # What the first worker writes from now on goes astray, and is not found by a third.
    first.mkdir()
    (first / "checkpoint").write_text("step 4")
    third = lease_folders.take_up(tmp_path, "job", 3)
    assert (third / "checkpoint").read_text() == "step 3"
    with pytest.raises(LeaseLost):
        lease_folders.take_up(tmp_path, "job", 2)
    assert lease_folders.newest(tmp_path, "job") == third
    lease_folders.remove(tmp_path, "job")
    assert list(tmp_path.iterdir()) == []
