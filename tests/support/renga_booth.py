"""The booth for linked verse, run as a user runs it, with every real process, on few verses; and what it must have done."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from outcrop.catalog.catalog import Catalog
from tests.support.servers import Installed, installed

ROOT = Path(__file__).parents[2]
STARTER = "outcrop.starter-v1"
REMOTE = "anthropic.claude-3-haiku-20240307-v1:0"
"A name that the starter model stands in for: nothing leaves this machine."
UPPER = "ゆきとけて かわのながれの おとたかく"
OPTIONS = {
    "--upper": UPPER, "--choose": "remote", "--records": "8", "--questions": "2", "--epochs": "1", "--visitors": "1",
    "--remote": REMOTE,
}  # fmt: skip


def check_booth(folder: Path, *more: str, models: Sequence[str]) -> None:
    """Run the booth with these further options, and look at all that it did. `models` answer, in this order."""
    # Given an installation in which another model answers in the place of the remote one
    home, written = folder / "home", folder / "report.json"
    home.mkdir()
    Catalog(home).alias(REMOTE, STARTER)
    options = [part for pair in OPTIONS.items() for part in pair]
    with installed(home) as house:
        command = [sys.executable, "-m", "examples.renga.booth", *options, *more, "--report", str(written)]
        environment = {**os.environ, **house.environment}
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        _check_report(json.loads(written.read_text()), ended.stdout, models)
        _check_house(house, json.loads(written.read_text()))


def _check_report(report: dict[str, Any], printed: str, models: Sequence[str]) -> None:
    # Then all models are measured by the same lines of code, and every adapter has learned something
    assert set(report["loss"]) == {"base", "lora", "oft"} & set(models)
    assert all(loss < report["loss"]["base"] for model, loss in report["loss"].items() if model != "base")
    assert {found["of"] for found in report["seven_seven"].values()} == {2}
    # and answer side by side in a table of 80 columns
    (visit,) = report["answers"]
    assert list(visit["lowers"]) == list(models)
    assert re.search(rf"^上の句 +{UPPER} +5-7-5$", printed, re.MULTILINE), printed
    # and the endpoint has scaled
    assert report["scaling"]["activity"]["StatusCode"] == "Successful", report["scaling"]
    # and what the visitor chose is a record of the second job, whose adapter came without a failed request
    assert report["update"]["choices"] == 1
    assert report["update"]["answered"] > 0
    assert report["update"]["failures"] == []


def _check_house(house: Installed, report: dict[str, Any]) -> None:
    assert adapter_of(house.client("s3"), report["update"]["adapter"])["base_model_name_or_path"] == STARTER
    # and nothing is left that would cost something
    sagemaker = house.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_inference_components()["InferenceComponents"] == []
    told = house.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", filterPattern='"records and"'
    )
    assert sorted(event["message"] for event in told["events"]) == [
        "8 records and 0 of visitors; 8 for validation",
        "8 records and 1 of visitors; 8 for validation",
    ]


def adapter_of(s3: Any, uri: str) -> dict[str, Any]:
    """The configuration of the adapter in a job's model.tar.gz."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    archive = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = {member.name.removeprefix("./"): member for member in tar}
        assert {"adapter_config.json", "adapter_model.safetensors"} <= set(names)
        opened = tar.extractfile(names["adapter_config.json"])
        assert opened is not None, "it is a file"
        found: dict[str, Any] = json.loads(opened.read())
        return found
