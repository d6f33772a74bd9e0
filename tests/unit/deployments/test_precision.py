"""Deployments whose weights are rounded: engines of their own, told in each answer, and held against the trainer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.catalog.base_model import entry_of
from outcrop.deployments import parity_reports, precision
from outcrop.deployments.parity import tolerance
from outcrop.deployments.states import THROUGHPUT
from outcrop.errors import Invalid
from outcrop.invocation.target import told_weights
from outcrop.machine import memory
from outcrop.network.parity_file import ParityRecord, Sample
from outcrop.network.weight_precision import WeightPrecision
from tests.support.serving_house import BASE, FOUNDATION, ServingHouse, outcome

INT8 = {precision.TAG: "int8"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServingHouse]:
    monkeypatch.setattr(memory, "resident", lambda _pid: 0)  # the tests' own process holds what it holds
    house = ServingHouse(tmp_path / "home")
    yield house
    house.close()


def engines(place: ServingHouse) -> dict[str, str]:
    """The weights of the engines that run, by name."""
    return {name: process.order.weights.value for name, process in place.launcher.processes.items()}


def test_rounded_and_exact_weights_of_one_model_are_served_by_two_engines(place: ServingHouse) -> None:
    model = place.custom_model("one")
    exact, rounded = place.deploy(model, name="exact"), place.deploy(model, name="rounded", tags=INT8)
    place.settle_all()
    assert engines(place) == {BASE: "fp32", f"{BASE}+int8": "int8"}
    for deployed, header in ((exact, {}), (rounded, {"x-outcrop-weights": "int8"})):
        assert place.row(deployed.arn).status == "Active"
        assert told_weights(place.prepared(deployed.arn).target) == header
        assert outcome(place.ask(deployed.arn)) == "one"


def test_a_network_of_its_own_stays_while_either_deployment_needs_it(place: ServingHouse) -> None:
    model = place.custom_model("one", own_network=True)
    exact, rounded = place.deploy(model, name="exact"), place.deploy(model, name="rounded", tags=INT8)
    place.settle_all()
    assert sorted(engines(place).values()) == ["fp32", "int8"]
    place.house.deployments.remove(place.row(exact.arn))
    place.pass_time(30)
    assert outcome(place.ask(rounded.arn)) == "one"
    place.house.deployments.remove(place.row(rounded.arn))
    place.pass_time(60)
    assert engines(place) == {}


def test_a_base_model_s_throughput_is_measured_with_the_weights_that_it_has(place: ServingHouse) -> None:
    for name, tags in (("exact", {}), ("rounded", INT8)):
        place.deploy(FOUNDATION, name=name, kind=THROUGHPUT, tags=tags)
    place.settle_all()
    assert {rate.network for rate in place.house.units.all()} == {BASE, f"{BASE}+int8"}
    assert set(engines(place)) == {BASE, f"{BASE}+int8"}


def test_the_tag_that_is_neither_is_refused_with_what_it_can_be() -> None:
    with pytest.raises(Invalid, match="outcrop:weights is 'int4'; it can be fp32 or int8"):
        precision.details_of({precision.TAG: "int4"})
    assert precision.details_of({"team": "a"}) == {"weights": "fp32"}


@pytest.mark.parametrize("name", [BASE, f"{BASE}@owner", f"{BASE}+int8", f"{BASE}+int8@owner"])
def test_an_engine_s_name_tells_the_entry_below_it(name: str) -> None:
    assert entry_of(name) == BASE


def test_rounded_weights_may_differ_by_what_rounding_explains_and_no_more() -> None:
    record = ParityRecord(samples=[Sample(ids=[1, 2], logprobs=[-1.0])], largest_logit=16.0, dtype="float32")
    assert tolerance(record, "float32") < 0.001
    assert tolerance(record, WeightPrecision.INT8.value) == 1.0


def test_the_report_of_the_gate_stays_with_the_deployment(place: ServingHouse) -> None:
    good = place.deploy(place.custom_model("one"), name="good", tags=INT8)
    bad = place.deploy(place.custom_model("bad"), name="bad")
    assert parity_reports.report_of(good) is None
    place.until(lambda: not place.house.deployments.pending(most=2))
    told = parity_reports.report_of(place.row(good.arn))
    assert told is not None
    assert (told["weights"], told["tokens"], told["largestDifference"], told["failure"]) == ("int8", 2, 0.0, None)
    told = parity_reports.report_of(place.row(bad.arn))
    assert told is not None
    assert told["largestDifference"] == 5.0
    assert "differ from the trainer's by 5 nats" in told["failure"]
    assert place.row(bad.arn).status == "Failed"
