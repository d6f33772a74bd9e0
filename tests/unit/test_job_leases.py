"""One worker a job; a worker that dies gives it back; one that dies again and again is noticed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.clock import MovableClock
from outcrop.customization.kind import KIND, JobStatus, Phase
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import LEASE, Leases
from outcrop.settings import Settings
from outcrop.store.database import writing
from outcrop.store.store import Store


class Office:
    """Jobs and leases on one database and one clock."""

    def __init__(self, store: Store) -> None:
        self.clock = MovableClock()
        self.store = store
        self.jobs = Jobs(store, self.clock, [KIND])
        self.leases = Leases(store.engine)

    def add(self, name: str) -> str:
        self.clock.move(timedelta(seconds=1))
        return self.jobs.add(
            KIND, job_arn=f"arn:aws:bedrock:r:1:model-customization-job/b/{name}", name=name, region="r", document={}
        ).arn

    def take(self, worker: str) -> str | None:
        lease = self.leases.take(worker, [KIND], now=self.clock.now())
        return lease.job if lease else None


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    store = Store.open(Settings(home=tmp_path))
    yield Office(store)
    store.close()


def test_the_oldest_job_comes_first_and_only_once(office: Office) -> None:
    first, second = office.add("first"), office.add("second")
    assert [office.take("w1"), office.take("w2"), office.take("w3")] == [first, second, None]


def test_a_job_of_a_silent_worker_is_taken_over(office: Office) -> None:
    job = office.add("renga")
    office.take("w1")
    office.clock.move(LEASE - timedelta(seconds=1))
    assert office.take("w2") is None
    office.clock.move(timedelta(seconds=2))
    assert office.take("w2") == job


def test_a_restarted_worker_takes_its_own_job_at_once(office: Office) -> None:
    job = office.add("renga")
    assert [office.take("w1"), office.take("w1")] == [job, job]


def test_a_renewed_lease_is_not_taken_over(office: Office) -> None:
    office.add("renga")
    lease = office.leases.take("w1", [KIND], now=office.clock.now())
    assert lease is not None
    for step in range(5):
        office.clock.move(LEASE / 2)
        office.leases.renew(lease, now=office.clock.now(), progress=str(step))
        assert office.take("w2") is None


def test_attempts_count_only_those_without_progress(office: Office) -> None:
    office.add("renga")
    attempts = []
    for progress in ("", "", "step 3", "step 3", "step 3"):
        lease = office.leases.take("w1", [KIND], now=office.clock.now())
        assert lease is not None
        attempts.append(lease.attempts)
        office.leases.renew(lease, now=office.clock.now(), progress=progress)
    assert attempts == [1, 2, 3, 1, 2]


def test_an_ended_job_is_never_leased(office: Office) -> None:
    office.jobs.end(office.add("renga"), JobStatus.FAILED)
    assert office.take("w1") is None


def test_a_stopping_job_is_leased_to_be_ended(office: Office) -> None:
    job = office.add("renga")
    office.jobs.enter(job, Phase.VALIDATION)
    office.jobs.request_stop(job)
    assert office.take("w1") == job


def test_a_job_that_was_stopped_before_it_began_is_never_leased(office: Office) -> None:
    office.jobs.request_stop(office.add("renga"))
    assert office.take("w1") is None


def test_a_damaged_lease_holds_nobody_back(office: Office) -> None:
    first, second = office.add("renga"), office.add("haiku")
    assert office.take("w1") == first
    with writing(office.store.engine) as connection:
        connection.exec_driver_sql("UPDATE leases SET until = 'never', attempts = 'many'")
    assert office.take("w2") == first
    assert office.take("w3") == second
