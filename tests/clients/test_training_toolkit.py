"""The launcher of scripts beside SageMaker's training toolkit itself: the same arguments and the same variables."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from outcrop.sagemaker.job_folder import configuration
from outcrop.sagemaker.script import LAUNCHER

ROOT = Path(__file__).parent.parent.parent
CLIENTS = ROOT / "build" / "clients" / "sagemaker2" / "bin"
pytestmark = pytest.mark.skipif(
    not (CLIENTS / "train").exists(), reason=f"the toolkit is not in {CLIENTS}: `make clients-sagemaker` installs it"
)
SCRIPT = (
    "import json, os, sys; json.dump({'variables': dict(os.environ), 'arguments': sys.argv}, open('dump.json', 'w'))"
)
PARAMETERS = {
    "epochs": "3", "lr": "1e-05", "name": '"a b"', "plain": "text", "flag": "true", "none": "null", "k": "7",
    "list": '[1, "x", {"y": 2}]', "map": '{"b": 1, "a": "z"}', "deep-name": "1.5", "UPPER_case": '"é"', "empty": '""',
    "sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://b/sourcedir.tar.gz"',
    "sagemaker_container_log_level": "20", "sagemaker_job_name": '"job-1"', "sagemaker_region": '"us-east-1"',
}  # fmt: skip
CHANNELS = [
    {"ChannelName": name, "ContentType": kind, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix"}}}
    for name, kind in (("train", "text/csv"), ("validation-set", ""))
]


def request(parameters: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "HyperParameters": parameters,
        "InputDataConfig": CHANNELS,
    }


def started_by(command: list[str], base: Path, parameters: Mapping[str, str], script: str) -> Path:
    """The folder /opt/ml after a script has run in it; both launchers have the same one."""
    for folder in ("input/config", "input/data/train", "input/data/validation-set", "code", "model", "output/data"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, content in configuration(request(parameters)).items():
        (base / "input" / "config" / name).write_text(json.dumps(content))
    (base / "code" / "train.py").write_text(script)
    own = {
        "PATH": os.environ["PATH"],
        "SAGEMAKER_BASE_DIR": str(base),
        "TRAINING_JOB_NAME": "job-1",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SM_STUDIO_LOCAL_MODE": "true",  # else the toolkit waits for the name algo-1
    }
    subprocess.run(command, env=own, capture_output=True, check=False)
    return base


def ours() -> list[str]:
    return [str(CLIENTS / "python"), str(LAUNCHER)]


def theirs() -> list[str]:
    return [str(CLIENTS / "train")]


def dumped(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "code" / "dump.json").read_text())
    (folder / "code" / "dump.json").unlink()
    return found


def test_arguments_and_variables_are_those_of_the_toolkit(tmp_path: Path) -> None:
    own = dumped(started_by(ours(), tmp_path / "ml", PARAMETERS, SCRIPT))
    other = dumped(started_by(theirs(), tmp_path / "ml", PARAMETERS, SCRIPT))
    assert own["arguments"] == other["arguments"]
    for variables in (own["variables"], other["variables"]):
        # The toolkit adds its own interpreter's folders behind the code.
        variables["PYTHONPATH"] = variables["PYTHONPATH"].split(":")[0]
        variables["SM_TRAINING_ENV"] = json.loads(variables["SM_TRAINING_ENV"])
    assert own["variables"] == other["variables"]


@pytest.mark.parametrize("code", [1, 3])
def test_failures_are_told_as_the_toolkit_tells_them(code: int, tmp_path: Path) -> None:
    """With what the script said as ErrorMessage, as the toolkit has it in the containers of frameworks."""
    script = f"import sys; sys.stderr.write('ValueError: not this\\n'); sys.exit({code})"
    texts = []
    for number, command in enumerate((ours(), theirs())):
        folder = started_by(command, tmp_path / str(number) / "ml", PARAMETERS, script)
        text = (folder / "output" / "failure").read_text()
        texts.append(re.sub(r'Command ".*?train.py', 'Command "train.py', text))  # interpreters differ in their names
    own, other = texts
    assert own.replace('ErrorMessage "ValueError: not this"', 'ErrorMessage ""') == other
