"""Custom models that are networks of their own: trained through the door, served by engines of their own, let go."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import TINY, with_tiny_models
from tests.support.job_house import JobHouse
from tests.support.patience import eventually
from tests.support.servers import Installed, installed


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two custom models: `full`, trained in full, and `rotated`, begun on it by OFT."""
    made = with_tiny_models(tmp_path_factory.mktemp("home"))
    jobs = JobHouse(made)
    trained(jobs, "full", TINY, {"outcrop.method": "full"})
    trained(jobs, "rotated", "full", {"outcrop.method": "oft", "outcrop.blockSize": "8"})
    jobs.context.store.close()
    return made


@pytest.fixture(scope="module")
def house(home: Path) -> Iterator[Installed]:
    with installed(home) as running:
        yield running


def trained(jobs: JobHouse, name: str, base: str, hyper: dict[str, str]) -> None:
    job = jobs.create(name, base=base, validate=False, more={"epochCount": "1", **hyper})
    jobs.work(job)
    ended = jobs.context.jobs.get(job)
    assert ended.status == "Completed", ended.document.get("failureMessage")


def deployed(bedrock: Any, model: Any) -> str:
    made = bedrock.create_custom_model_deployment(modelDeploymentName=model["modelName"], modelArn=model["modelArn"])

    def settled() -> Any:
        found = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=made["customModelDeploymentArn"])
        return found if found["status"] != "Creating" else None

    found = eventually(settled)
    assert found["status"] == "Active", found.get("failureMessage")
    return str(made["customModelDeploymentArn"])


def answer(runtime: Any, model: str) -> str:
    body = json.dumps({"prompt": "Question 3: what is 3?", "max_gen_len": 8, "temperature": 0})
    said = runtime.invoke_model(modelId=model, body=body)
    return str(json.loads(said["body"].read())["generation"])


def engines(house: Installed) -> set[str]:
    parts = json.loads((house.settings.home / "parts.json").read_text())["parts"]
    return {name for name, part in parts.items() if name.startswith("engine-") and part["alive"]}


def test_a_network_trained_in_full_is_served_and_trained_further_by_another_method(house: Installed) -> None:
    bedrock, runtime = house.client("bedrock"), house.client("bedrock-runtime")
    # Given a custom model trained in full, and another that was begun on it by OFT
    full, rotated = (bedrock.get_custom_model(modelIdentifier=name) for name in ("full", "rotated"))
    assert (full["hyperParameters"]["outcrop.method"], rotated["baseModelArn"]) == ("full", full["modelArn"])
    # when both are deployed: each only after the engine has given the trainer's own log probabilities
    deployments = [deployed(bedrock, model) for model in (full, rotated)]
    # then both answer, by one engine, since they share a network
    answers = [answer(runtime, deployment) for deployment in deployments]
    own = f"engine-{TINY}@{full['modelArn'].rsplit('/', 1)[-1]}"
    assert own in engines(house)
    assert sum("@" in name for name in engines(house)) == 1
    # and the second still does when the first is deleted
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=deployments[0])
    bedrock.delete_custom_model(modelIdentifier="full")
    assert eventually(lambda: answer(runtime, deployments[1])) == answers[1]
    # and their engine goes with the last deployment
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=deployments[1])
    eventually(lambda: own not in engines(house))
