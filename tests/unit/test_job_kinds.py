"""A kind of job brings its states and a function; everything else is there for every kind."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.jobs.execution import execute
from outcrop.jobs.jobs import JobEnded
from outcrop.jobs.kinds import JobKind
from outcrop.jobs.leases import MAX_ATTEMPTS, Leases
from outcrop.jobs.running import Interrupted, RunningJob
from outcrop.worker import work
from outcrop.worker.work import Worker
from tests.support.patience import eventually
from tests.support.toy_house import Numbers, ToyHouse, light_worker
from tests.support.toy_jobs import HEAVY, LIGHT, PARENT


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ToyHouse]:
    opened = ToyHouse.open(tmp_path)
    yield opened
    opened.store.close()


def run(house: ToyHouse, arn: str, kind: JobKind[Any] = LIGHT, **more: Any) -> bool:
    return execute(house, RunningJob(house.jobs, kind, arn, stop=threading.Event(), **more))


def test_a_heavy_worker_runs_one_job_and_ends(house: ToyHouse) -> None:
    first, second, light = house.add("first", HEAVY), house.add("second", HEAVY), house.add("other")
    numbers = Numbers()
    Worker(house, [HEAVY], stop=threading.Event(), numbers=numbers).run_one()
    assert [house.get(arn).status for arn in (first, second, light)] == ["Rested", "Submitted", "Submitted"]
    assert numbers.told == [(first, {"Naps": 1})]
    assert "endTime" in house.get(first).document


def test_a_light_worker_runs_several_jobs_at_once_and_stays(house: ToyHouse) -> None:
    together = threading.Barrier(3, timeout=20)

    def meet(_house: Any, _job: RunningJob) -> None:
        together.wait()  # none of the three ends before the others began

    jobs = [house.add(f"nap-{number}") for number in range(3)]
    with light_worker(house, [replace(LIGHT, run=meet)]):
        eventually(lambda: all(house.get(arn).status == "Rested" for arn in jobs))
        together.reset()
        later = [house.add(f"later-{number}") for number in range(3)]
        eventually(lambda: all(house.get(arn).status == "Rested" for arn in later))


def test_a_light_worker_runs_no_more_at_once_than_it_may(house: ToyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MOST_AT_ONCE", 2)
    running: list[str] = []
    most = []

    def run(_house: Any, job: RunningJob) -> None:
        running.append(job.arn)
        most.append(len(running))
        job.pause(0.01)
        running.remove(job.arn)

    jobs = [house.add(f"nap-{number}") for number in range(4)]
    with light_worker(house, [replace(LIGHT, run=run)]):
        eventually(lambda: all(house.get(arn).status == "Rested" for arn in jobs))
    assert max(most) <= 2


def test_a_parent_waits_for_its_children_and_takes_no_place_meanwhile(
    house: ToyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "MOST_AT_ONCE", 1)
    parent = house.add("evening", PARENT, owner="ada", priority=2, document={"children": 2})
    with light_worker(house, [PARENT, LIGHT]):
        eventually(lambda: house.get(parent).status == "Rested")
    assert house.get(parent).document["rested"] == ["evening-0", "evening-1"]
    assert house.jobs.owner_and_priority(f"{parent}-0") == ("ada", 2)


def test_stopping_a_parent_stops_its_children_before_it_ends(house: ToyHouse) -> None:
    parent = house.add("evening", PARENT, naps=10_000, seconds=0.01, document={"children": 2})
    with light_worker(house, [PARENT, LIGHT]):
        eventually(lambda: len([child for child in house.jobs.children(parent) if child.status == "Napping"]) == 2)
        house.jobs.request_stop(parent)
        eventually(lambda: house.get(parent).status == "Stopped")
        children = house.jobs.children(parent)
    assert [child.status for child in children] == ["Stopped", "Stopped"]
    with pytest.raises(JobEnded):
        house.add("too-late", parent=parent)


def test_a_parent_that_fails_leaves_no_child_running(house: ToyHouse) -> None:
    def run_parent(_house: Any, job: RunningJob) -> None:
        job.add_child(LIGHT, job_arn=f"{job.arn}-0", name="child", document={})
        raise Invalid("No bed is free. Make one.")

    parent = house.add("evening", PARENT)
    run(house, parent, replace(PARENT, run=run_parent))
    assert house.get(parent).document["failureMessage"] == "No bed is free. Make one."
    assert [child.status for child in house.jobs.children(parent)] == ["Stopped"]


def test_a_job_that_is_asked_to_stop_while_it_adds_a_child_stops(house: ToyHouse) -> None:
    def run_parent(_house: Any, job: RunningJob) -> None:
        house.jobs.request_stop(job.arn)
        job.add_child(LIGHT, job_arn=f"{job.arn}-0", name="child", document={})

    parent = house.add("evening", PARENT)
    assert run(house, parent, replace(PARENT, run=run_parent))
    assert (house.get(parent).status, house.jobs.children(parent)) == ("Stopped", [])


def test_a_kind_that_nobody_can_stop_says_so(house: ToyHouse) -> None:
    import_kind = replace(LIGHT, name="import-job", stopping=None)
    other = ToyHouse.open(house.settings.home, [import_kind])
    arn = other.add("import", import_kind)
    with pytest.raises(Conflict, match=r"^The import job import is Submitted and cannot be stopped\.$"):
        other.jobs.request_stop(arn)
    other.store.close()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Invalid("naps: -1 is none. Give 1 or more."), "naps: -1 is none. Give 1 or more."),
        (
            ZeroDivisionError(),
            "Encountered an unexpected error when processing the request, please try again (the worker's log has the "
            "details).",
        ),
    ],
)
def test_what_a_function_raises_fails_the_job_with_a_sentence(house: ToyHouse, error: Exception, message: str) -> None:
    def fail(_house: Any, _job: RunningJob) -> None:
        raise error

    arn, tidied = house.add("nap"), []
    assert run(house, arn, replace(LIGHT, run=fail, tidy=lambda _house, ended: tidied.append(ended)))
    assert (house.get(arn).status, house.get(arn).document["failureMessage"]) == ("Failed", message)
    assert tidied == [arn]


def test_a_job_whose_worker_dies_again_and_again_is_given_up(house: ToyHouse) -> None:
    arn = house.add("nap")
    run(house, arn, replace(LIGHT, gives_up="Sleep elsewhere."), attempt=MAX_ATTEMPTS + 1)
    assert house.get(arn).document["failureMessage"] == (
        "The worker died 8 times without coming any further. Sleep elsewhere."
    )


def test_an_interrupted_job_has_not_ended(house: ToyHouse) -> None:
    def leave(_house: Any, _job: RunningJob) -> None:
        raise Interrupted("The worker is to end.")

    arn = house.add("nap")
    assert not run(house, arn, replace(LIGHT, run=leave))
    assert house.get(arn).status == "Submitted"
    assert run(house, arn)
    assert house.get(arn).status == "Rested"


def test_a_full_disk_breaks_no_job_off_for_good(house: ToyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outcrop.jobs.full_disk.PAUSE_S", 0.0)
    full = [OSError(28, "No space left on device")] * 2

    def run_when_there_is_room(_house: Any, _job: RunningJob) -> None:
        if full:
            raise full.pop()

    arn = house.add("nap")
    assert run(house, arn, replace(LIGHT, run=run_when_there_is_room))
    assert (house.get(arn).status, full) == ("Rested", [])


def test_a_job_of_another_kind_is_not_found_by_its_arn(house: ToyHouse) -> None:
    arn = house.add("nap")
    with pytest.raises(NotFound, match=rf"^The deep nap job {arn} was not found\.$"):
        house.jobs.find(HEAVY, "r", arn)


def test_a_kind_that_ends_its_stops_is_called_for_what_it_has_made(house: ToyHouse) -> None:
    def keep(_house: Any, job: RunningJob) -> None:
        job.note(kept="what was made")
        job.check()

    arn, kind = house.add("nap"), replace(LIGHT, run=keep, ends_stops=True)
    house.jobs.begin(arn)  # a worker was killed over it
    house.jobs.request_stop(arn)
    assert run(house, arn, kind)
    assert (house.get(arn).status, house.get(arn).document["kept"]) == ("Stopped", "what was made")


def test_of_a_kind_a_light_worker_has_no_more_than_it_says(house: ToyHouse) -> None:
    few = replace(LIGHT, name="few-job", most_at_once=2)
    other = ToyHouse.open(house.settings.home, [LIGHT, few])
    for number in range(4):
        other.add(f"few-{number}", few)
    last = other.add("last")
    leases, taken = Leases(other.store, [LIGHT, few]), list[str]()
    while (lease := leases.take("w", now=other.clock.now(), holding=taken)) is not None:
        taken.append(lease.job)
    assert [arn.rsplit("/", 1)[-1] for arn in taken] == ["few-0", "few-1", "last"]
    assert taken[-1] == last
    other.store.close()
