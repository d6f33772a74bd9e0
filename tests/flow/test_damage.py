"""What is damaged on the disk or in the records: told as the service's own trouble, and nobody else suffers from it."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sql
from botocore.exceptions import ClientError

from outcrop.catalog.catalog import Catalog
from outcrop.inference.client import EngineClient, UnknownAdapter
from tests.support.checkpoints import checkpoint
from tests.support.databases import by_hand, sqlite_only
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

BROKEN = "local.broken-v1"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = with_tiny_models(tmp_path_factory.mktemp("home"))
    broken = tiny_model(home / "broken")
    Catalog(home).register(broken, model_id=BROKEN, name="Broken", context_length=CONTEXT_LENGTH, licence="none")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with installed(home) as running:
        s3 = client(running, "s3")
        s3.create_bucket(Bucket="damage")
        for name, data in checkpoint(home / "tiny", TINY, tmp_path_factory.mktemp("made")).items():
            s3.put_object(Bucket="damage", Key=f"made/{name}", Body=data)
        yield running


@pytest.fixture(scope="module")
def deployment(house: Installed) -> str:
    return deployed(house, "first")


def deployed(house: Installed, name: str) -> str:
    bedrock = client(house, "bedrock")
    source = {"s3DataSource": {"s3Uri": "s3://damage/made"}}
    model = bedrock.create_custom_model(modelName=name, modelSourceConfig=source, roleArn=house.role)["modelArn"]
    made = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
    arn: str = made["customModelDeploymentArn"]
    assert settled(house, arn)["status"] == "Active", seen(house, arn)
    return arn


@cache
def client(house: Installed, service: str) -> Any:
    """Made once: each asks the command line for its environment."""
    return house.client(service)


def seen(house: Installed, deployment: str) -> Any:
    return client(house, "bedrock").get_custom_model_deployment(customModelDeploymentIdentifier=deployment)


def settled(house: Installed, deployment: str) -> Any:
    return eventually(lambda: (found := seen(house, deployment))["status"] != "Creating" and found)


def folder_of(house: Installed, deployment: str) -> Path:
    return house.settings.models / str(seen(house, deployment)["modelArn"]).rsplit("/", 1)[1]


def ask(house: Installed, model: str) -> Any:
    message = [{"role": "user", "content": [{"text": "one two"}]}]
    return client(house, "bedrock-runtime").converse(modelId=model, messages=message, inferenceConfig={"maxTokens": 2})


def forget_adapter(house: Installed, deployment: str) -> None:
    """Unload the deployment's adapter from every engine, as if the engine had been started again."""

    async def forget() -> None:
        for socket in house.settings.sockets.glob("*.sock"):
            async with EngineClient(socket) as client:
                try:
                    await client.unload_adapter(seen(house, deployment)["modelArn"])
                except UnknownAdapter:
                    continue

    asyncio.run(forget())


def cut(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def without_configuration(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


def no_configuration(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("[]")


def of_another_rank(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 3}))


def a_folder_for_a_file(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.safetensors").mkdir()


@pytest.mark.parametrize(
    "damage",
    [cut, without_configuration, no_configuration, of_another_rank, a_folder_for_a_file, shutil.rmtree],
)  # fmt: skip
def test_a_damaged_adapter_is_the_models_error_and_its_deployment_fails_until_it_is_mended(
    house: Installed, deployment: str, damage: Callable[[Path], object], tmp_path: Path
) -> None:
    # Given a deployment that answers, whose files are damaged before its engine reads them anew
    ask(house, deployment)
    folder = folder_of(house, deployment)
    shutil.copytree(folder, tmp_path / "kept")
    damage(folder)
    forget_adapter(house, deployment)

    # Then it is the model that failed, the place on the server is not told, and the deployment says why
    with pytest.raises(ClientError) as refused:
        ask(house, deployment)
    error = refused.value.response["Error"]
    assert error["Code"] == "ModelErrorException"
    found = seen(house, deployment)
    assert (found["status"], found["failureMessage"]) == ("Failed", error["Message"])
    assert str(house.settings.home) not in error["Message"]
    assert not any(word in error["Message"] for word in ("Error", "Errno", "Traceback", "None"))

    # and put back, it is let in again
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tmp_path / "kept", folder)
    client(house, "bedrock").update_custom_model_deployment(
        customModelDeploymentIdentifier=deployment, modelArn=found["modelArn"]
    )
    assert settled(house, deployment)["status"] == "Active", seen(house, deployment)
    ask(house, deployment)


def test_a_base_model_that_cannot_be_loaded_is_given_up_with_its_reason(house: Installed) -> None:
    message = [{"role": "user", "content": [{"text": "one two"}]}]
    # one request, which waits for the engine, and is told of its end as soon as it is given up
    with pytest.raises(ClientError) as refused:
        client(house, "bedrock-runtime").converse(modelId=BROKEN, messages=message)
    error = refused.value.response["Error"]
    assert error["Code"] == "ModelErrorException"
    assert error["Message"].startswith(
        f"The engine of {BROKEN} does not start: The files of the model are damaged: model.safetensors: "
    )
    assert str(house.settings.home) not in error["Message"]
    parts = json.loads((house.settings.home / "parts.json").read_text())["parts"]
    assert f"engine-{BROKEN}" not in parts


_DAMAGED = sql.text(
    "INSERT INTO resources SELECT :place, :kind, region, 'damaged', :state, created, updated, 1, CAST(:document AS JSON) "
    "FROM resources WHERE arn = :like"
)


@pytest.mark.parametrize(
    "document", ["null", pytest.param("{", marks=sqlite_only), '{"modelArn": 5, "desiredModelArn": []}']
)
def test_a_damaged_record_keeps_nobody_waiting(house: Installed, deployment: str, document: str) -> None:
    bedrock = client(house, "bedrock")
    arn = deployment.rsplit("/", 1)[0] + "/damaged00000"
    with by_hand(house.settings) as database:
        for kind, place in (
            ("custom-model-deployment", arn),
            ("engine", "engine/damaged"),
            ("model-customization-job", f"{arn}j"),
        ):
            database.execute(sql.text("DELETE FROM resources WHERE arn = :place"), {"place": place})
            values = {"place": place, "kind": kind, "document": document, "like": deployment}
            state = "InProgress" if place.endswith("j") else "Creating"
            database.execute(_DAMAGED, {**values, "state": state})
    # the damaged one is Failed with a sentence, and may be deleted; others go on
    listed = bedrock.list_custom_model_deployments()["modelDeploymentSummaries"]
    assert deployment in [each["customModelDeploymentArn"] for each in listed]
    again = bedrock.update_custom_model_deployment(
        customModelDeploymentIdentifier=deployment, modelArn=seen(house, deployment)["modelArn"]
    )
    assert again["customModelDeploymentArn"] == deployment
    eventually(lambda: statuses(house) == {"custom-model-deployment": "Failed", "model-customization-job": "Failed"})
    ask(house, deployment)
    assert httpx.get(f"{house.settings.endpoint}/health").status_code == 200
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    with by_hand(house.settings) as database:
        database.execute(sql.text("DELETE FROM resources WHERE name = 'damaged'"))


def statuses(house: Installed) -> dict[str, str]:
    with by_hand(house.settings) as database:
        query = sql.text("SELECT kind, status FROM resources WHERE name = 'damaged' AND kind != 'engine'")
        return {row.kind: row.status for row in database.execute(query)}
