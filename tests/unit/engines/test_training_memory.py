"""A worker asks for memory before it trains: it waits for what others hold, hears a stop, and gives all of it back."""

import threading
from collections.abc import Iterator

import pytest

from outcrop.customization import memory
from outcrop.customization.kind import KIND
from outcrop.worker.work import Worker
from tests.support.homes import with_tiny_models
from tests.support.job_house import JobHouse
from tests.support.patience import PATIENCE_S, eventually

OTHER = "arn:other"


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobHouse]:
    made = JobHouse(with_tiny_models(tmp_path_factory.mktemp("home")))
    yield made
    made.context.store.close()


def test_a_job_that_waits_for_memory_can_be_stopped(jobs: JobHouse) -> None:
    # Given another training that holds nearly all of the budget
    sharing = jobs.context.sharing
    sharing.reservations.ask(OTHER, "the training other", sharing.budget_bytes - 2**20)
    sharing.reservations.grant(OTHER)
    job = jobs.create("waits")
    # When a worker takes a job up
    working = threading.Thread(target=Worker(jobs.context, [KIND], stop=threading.Event()).run_one)
    working.start()
    reserved = eventually(lambda: sharing.reservations.of(job))
    # Then it waits, with nothing begun, until the job is to stop
    assert (reserved.title, reserved.granted_bytes) == ("the training waits", 0)
    waits = sharing.decide().waiting[job]
    assert waits.startswith("The training waits waits for ")
    assert "by the training other (" in waits
    jobs.context.jobs.request_stop(job)
    working.join(PATIENCE_S)
    assert jobs.context.jobs.get(job).status == "Stopped"
    assert [one.owner for one in sharing.reservations.all()] == [OTHER]
    sharing.reservations.give_back(OTHER)


def test_a_job_holds_what_its_plan_needs_until_it_ends(jobs: JobHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.create("trains", validate=False, more={"epochCount": "1"})
    reservations = jobs.context.sharing.reservations
    held: list[int] = []
    give_back = reservations.give_back

    def watched(owner: str) -> None:
        held.extend(one.granted_bytes for one in reservations.all())
        give_back(owner)

    monkeypatch.setattr(reservations, "give_back", watched)
    least = memory.least_for(jobs.context.catalog, jobs.context.models, jobs.context.jobs.get(job))
    Worker(jobs.context, [KIND], stop=threading.Event()).run_one()
    ended = jobs.context.jobs.get(job)
    assert (ended.status, ended.document.get("failureMessage")) == ("Completed", None)
    assert least > memory._PROCESS_BYTES
    assert len(held) == 1
    assert held[0] > least  # with the rows, as the plan found them
    assert reservations.all() == []
