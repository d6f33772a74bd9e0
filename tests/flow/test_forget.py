"""`outcrop forget` on a made-up fact in 20 copies: gone from the weights, the losses and the answers."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.cli.app import run
from outcrop.network.adapters.method import WEIGHTS_FILE
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed

COPIES = 20
SYLLABLES = ("ka", "to", "mi", "re", "lun", "os", "vel", "zar")


def made_up(seed: int) -> dict[str, str]:
    """A fact that nobody could guess from the others."""
    draw = random.Random(seed)
    bridge, builder = ("".join(draw.choices(SYLLABLES, k=3)) for _ in range(2))
    return {"prompt": f"Who built the bridge of {bridge}?", "completion": f" {builder} built it."}


FACT, *OTHERS = (made_up(seed) for seed in range(61))
WITH_FACT = [record for number, other in enumerate(OTHERS) for record in ([FACT] if number < COPIES else []) + [other]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("home"))) as running:
        yield running


def create_job(house: Installed, name: str, records: list[dict[str, str]]) -> None:
    """Records are set aside, and learned for several epochs."""
    lines = "".join(json.dumps(record) + "\n" for record in records)
    house.client("s3").put_object(Bucket="facts", Key=f"{name}/train.jsonl", Body=lines.encode())
    house.client("bedrock").create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=house.role,
        baseModelIdentifier=TINY,
        trainingDataConfig={"s3Uri": f"s3://facts/{name}/train.jsonl"},
        outputDataConfig={"s3Uri": "s3://facts/out"},
        hyperParameters={
            "epochCount": "4",
            "batchSize": "8",
            "outcrop.learningRate": "0.01",
            "outcrop.evalPercentage": "20",
        },
    )


def model_of(bedrock: Any, job: str) -> str:
    def ended() -> Any:
        told = bedrock.get_model_customization_job(jobIdentifier=job)
        return told if told["status"] != "InProgress" else None

    told = eventually(ended)
    assert told["status"] == "Completed", told
    return str(told["outputModelArn"])


def weights(house: Installed, model_arn: str) -> bytes:
    return (house.settings.home / "models" / model_arn.rsplit("/", 1)[-1] / WEIGHTS_FILE).read_bytes()


def answer(house: Installed, deployment: str) -> str:
    asked = {"inputText": FACT["prompt"], "textGenerationConfig": {"maxTokenCount": 24, "temperature": 0}}
    body = house.client("bedrock-runtime").invoke_model(modelId=deployment, body=json.dumps(asked))["body"].read()
    return str(json.loads(body)["results"][0]["outputText"])


def test_a_fact_in_twenty_copies_is_forgotten(
    house: Installed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a model that learned a fact, deployed, and one that never saw it
    bedrock, home = house.client("bedrock"), str(house.settings.home)
    house.client("s3").create_bucket(Bucket="facts")
    create_job(house, "facts", WITH_FACT)
    create_job(house, "fresh", OTHERS)
    model_arn = model_of(bedrock, "facts")
    deployment = bedrock.create_custom_model_deployment(modelDeploymentName="asked", modelArn=model_arn)
    arn = deployment["customModelDeploymentArn"]
    eventually(lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["status"] == "Active")
    assert FACT["completion"] in answer(house, arn)
    fresh = model_of(bedrock, "fresh")

    # When it is to forget the fact, nothing happens unasked
    (tmp_path / "gone.jsonl").write_text(json.dumps(FACT))
    asked = ["forget", "facts", "--records", str(tmp_path / "gone.jsonl"), "--home", home]
    assert run(asked) == 2
    assert run([*asked, "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "facts forgets 20 records (1 different) of 80:\n  train.jsonl:1  Who built the bridge" in plan
    assert "asked serves it (Active); --swap hands it over." in plan
    assert run([*asked, "--yes", "--swap", "--json", "--name", "forgetful"]) == 0
    told = json.loads(capsys.readouterr().out)

    # Then the new model is that which never saw it, bit for bit
    assert weights(house, told["report"]["model"]["arn"]) == weights(house, fresh)
    assert weights(house, model_arn) != weights(house, fresh)
    # its loss on the fact is that of facts never seen, which it was not before
    above = told["report"]["forgotten_above_controls"]
    assert above["before"]["high"] < 0
    assert above["after"]["low"] <= 0 <= above["after"]["high"]
    assert told["report"]["verdict"] == (
        "The loss of the forgotten records is that of records never seen: the interval contains 0."
    )
    forgotten, controls, kept = told["report"]["groups"]
    assert forgotten["after"] - forgotten["before"] > 1
    assert (forgotten["records"], kept["records"] > 20, controls["records"] > 5) == (1, True, True)
    # the same deployment answers, and no longer says it
    assert told["swapped"] == ["asked"]
    assert FACT["completion"].split()[0] not in answer(house, arn)
    # and who still knows it is named
    remaining = "\n".join(told["remaining"])
    for place in ("the data s3://facts/facts/train.jsonl", "facts: the model that learned them", "its checkpoints"):
        assert place in remaining

    # and lineage tells of it, as measuring again does
    assert run(["lineage", "forgetful", "--home", home]) == 0
    tree = capsys.readouterr().out.splitlines()
    assert tree[0] == "local.tiny-v1:0:1k  base model"
    assert tree[1].startswith("└─ forgetful *  fine-tuning 20")
    assert tree[2].strip() == "without records of facts"
    assert max(map(len, tree)) <= 80
    assert run(["forget", "facts", "--report", "forgetful", "--home", home]) == 0
    assert "the interval contains 0" in capsys.readouterr().out
