"""A lease's fence, on every database: who lost the lease writes nothing, and who writes cannot lose it meanwhile."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from outcrop.clock import SystemClock
from outcrop.customization.kind import KIND
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import Lease, Leases
from outcrop.jobs.running import LeaseLost
from outcrop.settings import Settings
from outcrop.store import fence
from outcrop.store.database import reading, writing
from outcrop.store.store import Store


class Worker:
    """A worker with connections of its own, as a process has them."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.store = Store.open(settings)
        self.jobs = Jobs(self.store, SystemClock(), [KIND])
        self.leases = Leases(self.store, [KIND])
        self.name = name

    def take(self, *, after: str | None = None) -> Lease | None:
        """The next job; `after`: that of a worker which is taken for gone."""
        now = SystemClock().now()
        if after is not None:
            self.leases.give_up(after, now=now)
        return self.leases.take(self.name, now=now)

    def note(self, lease: Lease) -> None:
        self.jobs.note(lease.job, by=self.name)


@pytest.fixture
def workers(settings: Settings) -> Iterator[tuple[Worker, Worker]]:
    pair = Worker(settings, "first"), Worker(settings, "second")
    arn = f"arn:aws:bedrock:r:1:{KIND.name}/b/renga"
    pair[0].jobs.add(KIND, job_arn=arn, name="renga", region="r", document={})
    yield pair
    for worker in pair:
        worker.store.close()


def test_who_lost_the_lease_writes_nothing(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    lease = first.take()
    assert lease is not None
    with first.leases.fenced(lease):
        first.note(lease)
        later = second.take(after="first")
        assert later is not None
        assert (lease.number, later.number) == (1, 2)
        with pytest.raises(LeaseLost):
            first.note(lease)
        with pytest.raises(LeaseLost), writing(first.store.engine) as connection:
            connection.exec_driver_sql("DELETE FROM resources")
        with reading(first.store.engine) as connection:  # reading goes on
            assert connection.exec_driver_sql("SELECT count(*) FROM resources").scalar() == 1
        assert not first.leases.renew(lease, now=SystemClock().now(), progress="step 1")
        first.leases.release(lease, now=SystemClock().now())  # which is not its to give back
    with second.leases.fenced(later):
        second.note(later)
    assert second.jobs.get(later.job).document["by"] == "second"
    assert second.leases.is_held(later)


def test_a_lease_is_not_taken_in_the_middle_of_a_write(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    lease = first.take()
    assert lease is not None
    taken = threading.Event()

    def take() -> None:
        second.take(after="first")
        taken.set()

    taking = threading.Thread(target=take)
    with first.leases.fenced(lease), first.store.transaction():
        taking.start()
        assert not taken.wait(0.2), "the lease was taken while a transaction stood on it"
        first.note(lease)
    taking.join()
    assert taken.is_set()
    assert first.jobs.get(lease.job).document["by"] == "first"
    assert not first.leases.is_held(lease)


def test_a_fence_around_the_process_binds_all_of_its_threads(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    lease = first.take()
    assert lease is not None
    refused: list[LeaseLost] = []

    def write() -> None:
        try:
            first.note(lease)
        except LeaseLost as lost:
            refused.append(lost)

    with first.leases.fenced(lease, whole_process=True):
        second.take(after="first")
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        second.jobs.note(lease.job, by="second")  # another database, as far as the fence knows
    assert len(refused) == 1
    assert first.jobs.get(lease.job).document["by"] == "second"


def test_a_database_comes_to_keep_fences_while_a_transaction_begins(settings: Settings) -> None:
    store = Store.open(settings)
    begun: list[Connection] = []

    def meanwhile(connection: Connection) -> None:
        begun.append(connection)
        fence.keep(store.engine)  # as another thread does that opens its leases

    sql.event.listen(store.engine, "begin", meanwhile, insert=True)
    with reading(store.engine) as connection:
        connection.execute(sql.text("SELECT 1"))
    assert begun
    store.close()
