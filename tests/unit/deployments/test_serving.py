"""Deployments that sleep, wake and change their model: what is in memory when, and what a caller hears meanwhile."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.deployments.model_units import MeasuredRate
from outcrop.deployments.states import ON_DEMAND, THROUGHPUT, UPDATING
from outcrop.errors import NotReady, QuotaExceeded, Throttled, Unavailable
from outcrop.machine import memory
from outcrop.store.resources import Resource
from tests.support.serving_house import BASE, ServingHouse, outcome


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "resident", lambda _pid: 0)  # the tests' own process holds what it holds
    return tmp_path / "home"


@pytest.fixture
def place(home: Path) -> Iterator[ServingHouse]:
    house = ServingHouse(home)
    yield house
    house.close()


def active(place: ServingHouse, mark: str, *, kind: str = ON_DEMAND, own_network: bool = False) -> str:
    """A deployment that serves a model with this mark."""
    made = place.deploy(place.custom_model(mark, own_network=own_network), name=mark, kind=kind)
    place.settle_all()
    assert place.row(made.arn).status in ("Active", "InService")
    return made.arn


def adapters_in(place: ServingHouse, engine: str = BASE) -> set[str]:
    process = place.launcher.processes.get(engine)
    return set() if process is None else set(place.fleet.of(process).adapters)


@pytest.mark.parametrize("own_network", [False, True])
def test_a_deployment_that_nobody_asks_holds_nothing_and_answers_again_after_a_wait(
    place: ServingHouse, own_network: bool
) -> None:
    deployed = active(place, "one", own_network=own_network)
    assert outcome(place.ask(deployed)) == "one"
    place.pass_time(290, step=5)
    assert len(place.launcher.processes) == 1
    place.pass_time(20, step=5)
    assert place.launcher.processes == {}
    assert {str(order.state) for order in place.house.engines.orders()} == {"Evicted"}
    asked = place.ask(deployed)
    assert outcome(asked) is None  # it waits, and is told nothing
    place.until(asked.done)
    assert outcome(asked) == "one"


def test_a_call_that_waited_as_long_as_the_setting_says_hears_model_not_ready_and_the_next_one_is_answered(
    place: ServingHouse,
) -> None:
    deployed = active(place, "one")
    place.pass_time(310, step=5)
    asked = place.ask(deployed)
    place.loop.move(44)  # no pool makes a round meanwhile: the engine takes long to start
    place.loop.settle()
    assert outcome(asked) is None
    place.loop.move(1)
    place.loop.settle()
    assert isinstance(outcome(asked), NotReady)
    place.pass_time(5)
    assert outcome(place.ask(deployed)) == "one"


def test_an_adapter_that_nobody_uses_leaves_while_another_of_its_base_stays(place: ServingHouse) -> None:
    first, second = active(place, "one"), active(place, "two")
    for _ in range(40):
        assert outcome(place.ask(first)) == "one"
        place.pass_time(10, step=5)
    assert {arn.rpartition("/")[2] for arn in adapters_in(place)} == {"onexxxxxxxxx"}
    assert outcome(place.ask(second)) == "two"  # at once: the engine is there, and the adapter is read in between


def test_an_engine_of_provisioned_throughput_stays(place: ServingHouse) -> None:
    active(place, "one", kind=THROUGHPUT)
    place.pass_time(3600, step=60)
    assert list(place.launcher.processes) == [BASE]


def test_an_update_fails_no_request_and_what_runs_ends_with_the_old_model(place: ServingHouse) -> None:
    deployed = active(place, "old", own_network=True)
    new = place.custom_model("new", own_network=True)
    place.fleet.slow = True
    running = place.ask(deployed)
    place.fleet.slow = False
    place.house.deployments.point_to(place.row(deployed), new)
    answers = []
    while place.row(deployed).status == UPDATING:
        answers.append(place.ask(deployed))
        place.pass_time(1)
    assert [outcome(each) for each in answers] == ["old"] * len(answers)
    assert outcome(place.ask(deployed)) == "new"
    place.pass_time(60)
    assert len(place.launcher.processes) == 2  # the old engine has a request
    place.fleet.let_go_on()
    place.loop.settle()
    assert outcome(running) == "old"
    place.pass_time(30)
    assert [name.partition("@")[2] for name in place.launcher.processes] == ["newxxxxxxxxx"]
    assert len(place.house.engines.orders()) == 1


def test_a_request_on_its_way_when_its_model_gave_way_is_answered_by_the_model_it_was_planned_for(
    place: ServingHouse,
) -> None:
    deployed = active(place, "old", own_network=True)
    prepared = place.prepared(deployed)
    place.house.deployments.point_to(place.row(deployed), place.custom_model("new", own_network=True))
    place.settle_all()
    place.pass_time(60)
    assert outcome(place.ask(deployed)) == "new"

    from outcrop.invocation import invoke
    from outcrop.invocation.exchange import uncounted

    async def answer() -> str:
        return (await invoke.answered(prepared, count=uncounted)).text

    late = place.loop.create_task(answer())
    place.until(late.done)
    assert outcome(late) == "old"


def test_an_update_that_fails_leaves_the_old_model_serving_and_says_so(place: ServingHouse) -> None:
    deployed = active(place, "old")
    place.house.deployments.point_to(place.row(deployed), place.custom_model("bad"))
    place.settle_all()
    row = place.row(deployed)
    assert row.status == "Active"
    assert row.document["failureMessage"].startswith("the engine's log probabilities differ from the trainer's by 5")
    assert outcome(place.ask(deployed)) == "old"


def test_a_killed_engine_is_waited_for_and_brings_its_adapters_back(place: ServingHouse) -> None:
    deployed = active(place, "one")
    place.fleet.slow = True
    running = place.ask(deployed)
    place.fleet.slow = False
    place.fleet.kill(BASE)
    place.loop.settle()
    assert outcome(running) is None
    place.until(running.done)
    assert outcome(running) == "one"


def test_a_network_is_measured_before_its_first_throughput_serves_and_never_again(place: ServingHouse) -> None:
    assert place.house.units.all() == []
    active(place, "asked")
    assert place.house.units.all() == []  # on demand nobody buys units
    active(place, "one", kind=THROUGHPUT)
    (rate,) = place.house.units.all()
    assert (rate.network, rate.measured, rate.num_streams) == (BASE, rate.measured, 8)
    assert rate.tokens_per_minute > 0
    active(place, "two", kind=THROUGHPUT, own_network=True)
    assert place.house.units.all() == [rate]


def test_model_units_are_held_against_what_was_measured(place: ServingHouse) -> None:
    rate = MeasuredRate(network=BASE, tokens_per_minute=480.0, measured=place.clock.now(), num_streams=8, seconds=1.0)
    place.house.units.write(rate)
    deployed = active(place, "one", kind=THROUGHPUT)
    answered = 0
    while not isinstance(found := outcome(place.ask(deployed)), Throttled):
        assert found == "one"
        answered += 1
        assert answered < 100
    assert answered >= 5
    assert "one has 1 model unit: 120 tokens a minute on this machine." in found.message
    place.clock.move(timedelta(seconds=found.retry_after_s))
    assert outcome(place.ask(deployed)) == "one"


def test_no_more_units_are_given_than_the_machine_has(place: ServingHouse) -> None:
    model = place.custom_model("one")
    for number in range(4):
        place.house.units.check_free(1)
        place.deploy(model, name=f"pt{number}", kind=THROUGHPUT)
    with pytest.raises(
        QuotaExceeded,
        match=r"^modelUnits: 1 were asked for, and 0 of this machine's 4 are free\. Ask for fewer, delete",
    ):
        place.house.units.check_free(1)


def test_deployments_that_wait_for_an_engine_keep_nobody_from_theirs(home: Path) -> None:
    place = ServingHouse(home, room_for=0.9)  # for the base's engine, and no other beside it
    try:
        active(place, "bought", kind=THROUGHPUT)
        model = place.custom_model("own", own_network=True)
        stuck = [place.deploy(model, name=f"stuck{number}").arn for number in range(70)]
        place.pass_time(3)
        late = place.deploy(place.custom_model("late"), name="late").arn
        place.pass_time(10)
        assert place.row(late).status == "Active"
        assert {place.row(arn).status for arn in stuck} == {"Creating"}
    finally:
        place.close()


def test_a_database_that_is_away_for_a_moment_fails_no_deployment(
    place: ServingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve, asked = place.reconciler._deployments.serve, list[str]()

    def away_once(row: Resource) -> None:
        asked.append(row.arn)
        if len(asked) == 1:
            raise Unavailable("The database did not finish a statement in time.")
        serve(row)

    monkeypatch.setattr(place.reconciler._deployments, "serve", away_once)
    arn = active(place, "rain")
    assert asked == [arn, arn]


def test_an_update_that_finds_no_room_is_given_up_and_the_old_model_serves_on(home: Path) -> None:
    place = ServingHouse(home, room_for=0.9)
    try:
        deployed = active(place, "old", kind=THROUGHPUT)
        place.house.deployments.point_to(place.row(deployed), place.custom_model("new", own_network=True))
        place.pass_time(590, step=10)
        assert place.row(deployed).status == UPDATING
        assert outcome(place.ask(deployed)) == "old"
        place.pass_time(30, step=10)
        row = place.row(deployed)
        assert row.status == "InService"
        assert row.document["failureMessage"].endswith("The update was given up after 10 minutes.")
        assert "waits for" in row.document["failureMessage"]
        assert outcome(place.ask(deployed)) == "old"
    finally:
        place.close()


def test_a_bought_engine_is_there_again_after_a_start_without_being_asked_for(place: ServingHouse) -> None:
    active(place, "one", kind=THROUGHPUT)
    active(place, "two")
    place.house.engines.clear()  # as `outcrop up` does
    place.pass_time(20)
    assert list(place.launcher.processes) == [BASE]
    place.pass_time(600, step=10)
    assert list(place.launcher.processes) == [BASE]
