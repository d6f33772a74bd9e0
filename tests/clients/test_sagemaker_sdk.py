"""The SDKs of SageMaker, unmodified, told nothing but what `outcrop env --sagemaker` prints.

`make clients-sagemaker` installs them.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.cli.sagemaker_sdk import SHIM
from tests.clients.test_programs import CLIENTS, PROGRAMS
from tests.support.patience import PATIENCE_S
from tests.support.pipeline_house import role_of_pipelines
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed, outcrop
from tests.support.training_programs import name_environment

SDK2, SDK3 = (CLIENTS / f"sagemaker{version}" / "bin" / "python" for version in (2, 3))
with_sdk2 = pytest.mark.skipif(not SDK2.exists(), reason=f"{SDK2} is not there: `make clients-sagemaker` makes it")
with_sdk3 = pytest.mark.skipif(not SDK3.exists(), reason=f"{SDK3} is not there: `make clients-sagemaker` makes it")
STARTER = "outcrop.starter-v1"
pytestmark = needs_sandbox


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("sagemaker") / "home"
    name_environment(home)
    with installed(home) as house:
        yield house


def printed(house: Installed, python: Path, program: str, *arguments: str) -> list[str]:
    """The lines that a program printed."""
    told = json.loads(outcrop("env", "--json", "--sagemaker", "--home", str(house.settings.home)).stdout)
    told["PYTHONPATH"] = str(SHIM)  # without what the tests' own process has there
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [str(python), str(PROGRAMS / program), *arguments],
        env=kept | told,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.splitlines()


@with_sdk2
def test_an_estimator_of_version_2_fits_is_attached_to_and_tells_its_metrics(house: Installed, tmp_path: Path) -> None:
    lines = printed(house, SDK2, "sagemaker2_estimator.py", house.role, str(tmp_path))
    assert [line for line in lines if line.startswith("epoch ")] == [
        "epoch 0 loss=1.000 over 3 rows",
        "epoch 1 loss=0.500 over 3 rows",
        "epoch 2 loss=0.333 over 3 rows",
    ]
    assert "files ['model.txt']" in lines
    assert "attached 3 True" in lines
    assert "metrics 1 ['train:loss']" in lines
    assert "status Completed" in lines


@with_sdk2
def test_jumpstart_fine_tunes_and_deploys_a_model_of_the_catalogue(house: Installed, tmp_path: Path) -> None:
    model = "outcrop-textgeneration-starter-v1"
    lines = printed(house, SDK2, "sagemaker2_jumpstart.py", house.role, str(tmp_path), model)
    bucket = "s3://jumpstart-cache-prod-us-east-1"
    told = dict.fromkeys(lines)
    for line in (
        f"models ['{model}']",
        f"of the task ['{model}']",
        "epochs 3 method lora",
        "metrics ['huggingface-textgeneration:train-loss', 'huggingface-textgeneration:eval-loss']",
        "training outcrop-training",
        "Ready to train: every record is used, whole.",
        "status Completed",
        "final metrics ['huggingface-textgeneration:eval-loss', 'huggingface-textgeneration:train-loss']",
        "attached True",
        "examples ['inputs']",
        f"model data {bucket}/textgeneration/{model}",
        "the model answers True",
        "the fine-tuned model answers True",
        f"in the hub ['{model}']",
        "of the hub ModelReference True",
        'by the hub outcrop-training "3"',
        f"hub's data {bucket}/textgeneration/{model}",
    ):
        assert line in told, line
    (files,) = [line for line in lines if line.startswith("files ")]
    assert "'adapter/adapter_model.safetensors', 'config.json'" in files


@with_sdk2
def test_models_of_version_2_are_deployed_asked_and_deleted(house: Installed, tmp_path: Path) -> None:
    lines = printed(house, SDK2, "sagemaker2_endpoint.py", house.role, str(tmp_path), STARTER)
    told = [line.lstrip("-!") for line in lines]  # where the SDK draws how far it is
    for line in (
        "predicted [2.5, 5.0]",
        "transformed [[2.5], [5.0, 7.5]]",
        "later [10.0]",
        "text True",
        "streamed True",
        "chat chat.completion",
        "endpoints 0",
    ):
        assert line in told, (line, told)


@with_sdk3
def test_an_endpoint_of_version_3_is_invoked(house: Installed) -> None:
    lines = printed(house, SDK3, "sagemaker3_endpoint.py", house.role, STARTER)
    assert [line for line in lines if line in ("status InService", "text True", "deleted")] == [
        "status InService", "text True", "deleted"
    ]  # fmt: skip


@with_sdk3
def test_a_trainer_of_version_3_trains_with_the_role_and_bucket_it_finds(house: Installed, tmp_path: Path) -> None:
    lines = printed(house, SDK3, "sagemaker3_trainer.py", str(tmp_path))
    assert "role True" in lines
    assert "status Completed" in lines
    (model,) = [line for line in lines if line.startswith("model s3://sagemaker-us-east-1-")]
    assert model.endswith("/output/model.tar.gz")
    assert "ranks Completed" in lines
    ranks = sorted(line for line in lines if line.startswith("rank "))
    assert ranks == ["rank 0 of 2 on algo-1: 3.0", "rank 1 of 2 on algo-2: 3.0"]


@with_sdk2
def test_a_tuner_of_version_2_searches_and_finds_its_best_model(house: Installed, tmp_path: Path) -> None:
    lines = printed(house, SDK2, "sagemaker2_tuner.py", house.role, str(tmp_path))
    told = dict(line.split(" ", 1) for line in lines if " " in line)
    assert told["status"] == "Completed"
    assert told["rows"] == "3 ['Completed']"
    assert "'FinalObjectiveValue'" in told["columns"]
    assert "'learning-rate'" in told["columns"]
    assert told["best"] == told["model"] == told["attached"] == "True"
    assert told["estimator"] == "PyTorch 2 True"
    assert told["warm"] == "Completed True"


@with_sdk2
def test_a_pipeline_of_version_2_is_upserted_started_and_waited_for(house: Installed, tmp_path: Path) -> None:
    role = role_of_pipelines(house.role.split(":")[4])
    lines = printed(house, SDK2, "sagemaker2_pipeline.py", role, str(tmp_path))
    told = dict(line.split(" ", 1) for line in lines if " " in line)
    assert told["described"] == "again 2"
    assert told["status"] == "Succeeded"
    assert told["steps"] == "[('Check', 'Succeeded'), ('First', 'Succeeded'), ('Second', 'Succeeded')]"
    assert told["parameters"] == "[{'Name': 'Epochs', 'Value': '3'}]"
    assert told["trained"] == "6", "the second goes on from the model of the first"
    assert told["failed"] == "WaiterError"
    assert told["reason"] == "Step failure: TooMany: too many epochs: 10"
    assert lines[-1] == "deleted"
