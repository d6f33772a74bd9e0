"""One worker a job; a worker that dies gives it back; one that dies again and again is noticed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from outcrop.clock import MovableClock
from outcrop.customization.kind import KIND
from outcrop.customization.states import JobStatus, Phase
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import LEASE, Leases
from outcrop.settings import Settings
from outcrop.store.database import reading, writing
from outcrop.store.store import Store


class Office:
    """Jobs and leases on one database and one clock."""

    def __init__(self, store: Store) -> None:
        self.clock = MovableClock()
        self.store = store
        self.jobs = Jobs(store, self.clock, [KIND])
        self.leases = Leases(store, [KIND])

    def add(self, name: str, **more: Any) -> str:
        self.clock.move(timedelta(seconds=1))
        arn = f"arn:aws:bedrock:r:1:{KIND.name}/b/{name}"
        return self.jobs.add(KIND, job_arn=arn, name=name, region="r", document={}, **more).arn

    def take(self, worker: str) -> str | None:
        lease = self.leases.take(worker, now=self.clock.now())
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
    lease = office.leases.take("w1", now=office.clock.now())
    assert lease is not None
    for step in range(5):
        office.clock.move(LEASE / 2)
        office.leases.renew(lease, now=office.clock.now(), progress=str(step))
        assert office.take("w2") is None


def test_attempts_count_only_those_without_progress(office: Office) -> None:
    office.add("renga")
    attempts = []
    for progress in ("", "", "step 3", "step 3", "step 3"):
        lease = office.leases.take("w1", now=office.clock.now())
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


def drained(office: Office) -> list[str]:
    """Names in the order in which one worker takes and ends them."""
    names = []
    while (lease := office.leases.take("w1", now=office.clock.now())) is not None:
        names.append(lease.job.rsplit("/", 1)[-1])
        office.clock.move(timedelta(seconds=1))
        office.jobs.end(lease.job, JobStatus.COMPLETED)
        office.leases.release(lease, now=office.clock.now())
    return names


def test_the_more_urgent_job_comes_first(office: Office) -> None:
    for name, priority in (("later", -1), ("usual", 0), ("urgent", 5)):
        office.add(name, priority=priority)
    assert drained(office) == ["urgent", "usual", "later"]


def test_owners_take_turns_whoever_has_more_jobs(office: Office) -> None:
    for number in range(3):
        office.add(f"ada-{number}", owner="ada")
    office.add("bea-0", owner="bea")
    office.add("cora-0", owner="cora")
    office.add("bea-1", owner="bea")
    assert drained(office) == ["ada-0", "bea-0", "cora-0", "ada-1", "bea-1", "ada-2"]


def test_an_owner_whose_job_runs_waits_for_owners_who_have_none(office: Office) -> None:
    ada = [office.add(f"ada-{number}", owner="ada") for number in range(2)]
    bea = [office.add(f"bea-{number}", owner="bea") for number in range(2)]
    assert [office.take(f"w{number}") for number in range(4)] == [ada[0], bea[0], ada[1], bea[1]]


def test_a_job_that_was_begun_goes_on_before_a_more_urgent_one_begins(office: Office) -> None:
    begun = office.add("begun")
    office.take("w1")
    office.add("urgent", priority=9)
    assert office.take("w1") == begun


def test_a_worker_does_not_take_what_it_is_holding(office: Office) -> None:
    first, second = office.add("first"), office.add("second")
    holding: list[str] = []
    for _ in range(2):
        lease = office.leases.take("w1", now=office.clock.now(), holding=holding)
        assert lease is not None
        holding.append(lease.job)
    assert holding == [first, second]
    statements: list[str] = []
    sql.event.listen(office.store.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    assert office.leases.take("w1", now=office.clock.now(), holding=holding) is None
    assert statements == []  # one plain read, as of an idle worker


def test_an_idle_look_is_one_read_by_an_index(office: Office) -> None:
    office.jobs.end(office.add("ended"), JobStatus.COMPLETED)
    leases = Leases(office.store, [KIND, replace(KIND, name="other-job")])
    statements: list[str] = []
    sql.event.listen(office.store.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    assert leases.take("w1", now=office.clock.now()) is None
    assert statements == []  # no transaction, so no lock that anybody would wait for
    with reading(office.store.engine) as connection:
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {leases.idle_look}")]
    by_index = "SEARCH resources USING COVERING INDEX resources_status (kind=? AND status=?)"
    assert steps.count(by_index) == 2
    assert not [step for step in steps if step.startswith("SCAN")]


def test_waiting_jobs_are_found_by_an_index_of_their_own(office: Office) -> None:
    office.add("renga")
    looks: list[tuple[str, Any]] = []
    sql.event.listen(office.store.engine, "before_cursor_execute", lambda *told: looks.append((told[2], told[3])))
    office.take("w1")
    steps = []
    with reading(office.store.engine) as connection:
        for query, parameters in looks:
            if query.lstrip().startswith(("SELECT", "WITH")):
                found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", parameters)
                steps += [row.detail for row in found]
    assert any("COVERING INDEX jobs_waiting (waiting=? AND priority=?" in step for step in steps)
    scanned = {step for step in steps if step.startswith("SCAN")}
    assert scanned <= {"SCAN leases", "SCAN owners", "SCAN CONSTANT ROW"}, "what is worked on, and its owners"


def test_a_job_of_an_older_outcrop_is_leased(office: Office) -> None:
    job = office.add("renga")
    with writing(office.store.engine) as connection:
        connection.exec_driver_sql("DELETE FROM jobs")
    assert office.take("w1") == job
    assert office.jobs.children(job) == []
