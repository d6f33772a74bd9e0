"""Workers that lease at the same moment, on every database: each job goes to one of them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from outcrop.clock import SystemClock
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import Leases
from outcrop.jobs.queue_records import first_waiting
from outcrop.settings import Settings
from outcrop.store.database import reading
from outcrop.store.store import Store
from tests.support.leasing import OWNERS, add_jobs
from tests.support.toy_jobs import LIGHT, State

WORKERS, JOBS = 6, 48


def lease_all(store: Store, worker: str) -> list[str]:
    """Lease until none is left, and end each job at once."""
    jobs, leases = Jobs(store, SystemClock(), [LIGHT]), Leases(store, [LIGHT])
    taken = []
    while (lease := leases.take(worker, now=datetime.now(UTC))) is not None:
        taken.append(lease.job)
        jobs.end(lease.job, State.RESTED)
        leases.release(lease, now=datetime.now(UTC))
    return taken


def test_each_job_is_leased_exactly_once(settings: Settings, store: Store) -> None:
    arns = add_jobs(settings, JOBS)
    with ThreadPoolExecutor(WORKERS) as threads:
        taken = list(threads.map(lambda number: lease_all(store, f"w{number}"), range(WORKERS)))
    assert Counter(arn for each in taken for arn in each) == Counter(arns)


def test_owners_take_turns_and_the_oldest_of_each_comes_first(settings: Settings, store: Store) -> None:
    arns = add_jobs(settings, 3 * len(OWNERS))
    assert lease_all(store, "w") == arns  # of the four owners in turns, as they were made


def test_a_job_that_ended_before_it_began_is_passed_over(settings: Settings, store: Store) -> None:
    first, second = add_jobs(settings, 2)
    Jobs(store, SystemClock(), [LIGHT]).request_stop(first)
    assert lease_all(store, "w") == [second]


def test_a_job_given_back_before_its_end_waits_again(settings: Settings, store: Store) -> None:
    (arn,) = add_jobs(settings, 1)
    leases = Leases(store, [LIGHT])
    lease = leases.take("w1", now=datetime.now(UTC))
    assert lease is not None
    leases.release(lease, now=datetime.now(UTC))
    again = leases.take("w2", now=datetime.now(UTC))
    assert again is not None
    assert (again.job, again.attempts) == (arn, 1)


def test_only_the_head_of_each_queue_is_looked_at(settings: Settings, store: Store) -> None:
    add_jobs(settings, 10 * len(OWNERS))
    assert Leases(store, [LIGHT]).take("w", now=datetime.now(UTC)) is not None
    with reading(store.engine) as connection:
        heads = first_waiting(connection, [LIGHT.name])
    assert [head.owner for head in heads] == list(OWNERS)
    assert [head.job[-2:] for head in heads] == ["04", "01", "02", "03"]  # the first of the first owner is leased
