"""A disabled key makes what it sealed unusable at once, and engines let it go; enabled, it answers again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.keys.specs import SPECS, KeyUsage
from tests.support.serving_house import REGION, ServingHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ServingHouse]:
    made = ServingHouse(tmp_path / "home")
    yield made
    made.close()


def key_of(house: ServingHouse) -> str:
    return house.house.keys.create(
        region=REGION, spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="", policy="{}",
        tags={},
    ).arn  # fmt: skip


def held(house: ServingHouse) -> set[str]:
    """The adapters that engines have in memory."""
    processes = house.launcher.processes.values()
    return {name for process in processes if process.alive for name in house.fleet.of(process).adapters}


def said(house: ServingHouse, arn: str) -> str:
    asked = house.ask(arn)
    house.pass_time(1)
    return asked.result()


def test_a_deployment_answers_while_its_key_may_be_used(house: ServingHouse) -> None:
    key = key_of(house)
    sealed, plain = house.custom_model("sealed", key=key), house.custom_model("plain")
    deployments = [house.deploy(each, name=name).arn for name, each in (("a", sealed), ("b", plain))]
    house.pass_time(30)
    assert [said(house, each) for each in deployments] == ["sealed", "plain"]
    assert held(house) == {sealed, plain}

    house.house.keys.set_enabled(key, enabled=False)
    with pytest.raises(Invalid, match=r"KMS key of the model cannot be used: .* is disabled \(DisabledException\)"):
        house.prepared(deployments[0])
    house.pass_time(10)
    assert held(house) == {plain}
    assert said(house, deployments[1]) == "plain"

    house.house.keys.set_enabled(key, enabled=True)
    assert said(house, deployments[0]) == "sealed"


def test_a_network_of_its_own_leaves_the_memory_with_its_key(house: ServingHouse) -> None:
    key = key_of(house)
    deployment = house.deploy(house.custom_model("own", own_network=True, key=key), name="own").arn
    house.pass_time(30)
    assert said(house, deployment) == "own"
    house.house.keys.schedule_deletion(key, 7)
    with pytest.raises(Invalid, match="KMSInvalidStateException"):
        house.prepared(deployment)
    house.pass_time(30)
    assert not [each for each in house.launcher.processes.values() if each.alive and "own" in each.order.name]


def test_an_adapter_leaves_with_its_deployment(house: ServingHouse) -> None:
    sealed = house.custom_model("sealed", key=key_of(house))
    deployment = house.deploy(sealed, name="a")
    house.pass_time(30)
    assert said(house, deployment.arn) == "sealed"
    house.house.deployments.remove(house.row(deployment.arn))
    house.pass_time(10)
    assert held(house) == set()
