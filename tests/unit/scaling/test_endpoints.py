"""Endpoints and components on record, scaled: what is asked of them, and when it counts as there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from outcrop.arn import sagemaker as arn_of
from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.hosting.change_kind import KIND as CHANGE
from outcrop.sagemaker.hosting.containers import ModelContainer
from outcrop.sagemaker.hosting.endpoints import COMPONENT, KIND, EndpointRecord
from outcrop.sagemaker.hosting.plans import EndpointPlan, FleetPlan, VariantPlan
from outcrop.scaling.target_id import TargetId
from outcrop.settings import Settings
from tests.support import scaling_house
from tests.support.scaling_house import NOON, REGION, VARIANT

FLEET = FleetPlan(
    id="f", model_name="m", model_arn="arn:aws:sagemaker:us-east-1:1:model/m", model_key="k",
    container=ModelContainer(image="i", source="", environment={}), role="arn:aws:iam::1:role/r", isolated=False, num_copies=1,
)  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House.open(Settings(home=tmp_path), MovableClock(NOON)) as house:
        yield house


def endpoint(house: House, kind: str = KIND, name: str = "e", variant: str = "v", **more: Any) -> str:
    """An endpoint, or a component, that serves with one copy."""
    plan = EndpointPlan(config_name="c", variants=(VariantPlan(name=variant, weight=1.0, fleet=FLEET),))
    arn = arn_of(REGION, house.account, f"{kind}/{name}")
    house.endpoints.add(endpoint_arn=arn, name=name, region=REGION, plan=plan, kind=kind, more=more)
    house.endpoints.serve(arn, 1)
    return arn


def record(house: House, arn: str) -> EndpointRecord:
    found = house.endpoints.get(arn)
    assert found is not None
    return found


def register(house: House, least: int, most: int, target: TargetId = VARIANT) -> None:
    house.scaling.register(target, {"least": least, "most": most}, {}, region=REGION, tags={})


def states(house: House) -> list[str]:
    found = house.scaling.activities.list(region=REGION, since=NOON - timedelta(days=1), most=9)
    return [str(activity.status) for activity in found]


def test_a_variant_is_updated_and_the_activity_ends_when_it_serves(house: House) -> None:
    arn = endpoint(house)
    register(house, 2, 4)
    house.scaler.turn()
    asked = record(house, arn)
    assert (asked.status, asked.desired.variants[0].fleet) == (
        "Updating",
        replace(FLEET, num_copies=2),
    )
    assert len(house.jobs.running(CHANGE)) == 1
    house.scaler.turn()
    assert states(house) == ["InProgress"]
    house.endpoints.serve(arn, asked.generation)
    house.scaler.turn()
    assert states(house) == ["Successful"]


def test_an_endpoint_that_is_being_updated_is_waited_for(house: House) -> None:
    arn = endpoint(house)
    house.endpoints.ask(arn, lambda now: now.desired)
    register(house, 3, 4)
    house.scaler.turn()
    house.scaler.turn()
    assert states(house) == ["Pending"]
    house.endpoints.serve(arn, record(house, arn).generation)
    house.scaler.turn()
    assert states(house) == ["InProgress"]


def test_a_component_goes_to_zero_and_a_variant_does_not(house: House) -> None:
    endpoint(house)
    arn = endpoint(house, COMPONENT, "c", endpointName="e", base=None)
    with pytest.raises(Invalid, match="MinCapacity: 0 is below the least value 1"):
        register(house, 0, 4)
    register(house, 0, 0, scaling_house.COMPONENT)
    house.scaler.turn()
    fleet = record(house, arn).desired.variants[0].fleet
    assert fleet is not None
    assert fleet.num_copies == 0


def test_a_deleted_endpoint_takes_its_target_along(house: House) -> None:
    arn = endpoint(house)
    register(house, 1, 4)
    house.endpoints.remove(arn)
    house.scaler.turn()
    assert house.scaling.records.targets() == []
    endpoint(house, name="e", variant="other")
    with pytest.raises(Invalid, match="SageMaker endpoint variant doesn't exist: endpoint/e/variant/v"):
        register(house, 1, 4)
