"""Training jobs of SageMaker in tests: their scripts as source archives, their requests, and what became of them."""

import io
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.support.patience import eventually

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
BUCKET = "training"
ENDS = ("Completed", "Failed", "Stopped")


class Clients(Protocol):
    """Whatever gives clients of boto3."""

    def client(self, service: str) -> Any: ...


def name_environment(home: Path) -> None:
    """Let PyTorch's images stand for the interpreter that the tests run in."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    repositories = '["pytorch-training", "pytorch-inference"]'
    table = (
        f'[[family]]\nname = "here"\nserving = "pytorch"\nrepositories = {repositories}\npython = "{sys.executable}"\n'
    )
    (home / "images.toml").write_text(table)


def write_wheel(folder: Path, name: str, source: str) -> None:
    """Write a wheel of one module, version 1.0."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)


def archive(files: Mapping[str, str | bytes], *more: tarfile.TarInfo) -> bytes:
    """A tar.gz of files, and of members such as links."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in more:
            tar.addfile(member)
    return written.getvalue()


class TrainingJobs:
    """The training jobs of one installation, each with a script of its own."""

    def __init__(self, house: Clients, role: str) -> None:
        self.s3, self.sagemaker = house.client("s3"), house.client("sagemaker")
        self.role = role
        self.s3.create_bucket(Bucket=BUCKET)
        self.put("data/a.txt", b"first\n")
        self.put("data/deep/b.txt", b"second\n")

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    def read(self, key: str) -> bytes:
        found: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return found

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def request(self, name: str, **members: Any) -> dict[str, Any]:
        """A CreateTrainingJob request; members that are given stand in the place of the usual ones."""
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}
        usual: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        return usual | members

    def start(
        self,
        name: str,
        script: str,
        *,
        parameters: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        **members: Any,
    ) -> str:
        """A job that runs a script, with files beside it, as the SDK's estimators have it run; returns its name."""
        code = f"code/{name}/sourcedir.tar.gz"
        self.put(code, archive({"train.py": script} | dict(files or {})))
        own = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"s3://{BUCKET}/{code}"'}
        request = self.request(name, HyperParameters=own | dict(parameters or {}), **members)
        self.sagemaker.create_training_job(**request)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return told

    def ended(self, name: str) -> dict[str, Any]:
        """The job, once it has ended."""
        told: dict[str, Any] = eventually(lambda: self._ended(name))
        return told

    def run(self, name: str, script: str, **more: Any) -> dict[str, Any]:
        return self.ended(self.start(name, script, **more))

    def model(self, name: str) -> dict[str, bytes]:
        """The files of a job's model.tar.gz."""
        told = self.describe(name)
        assert told["TrainingJobStatus"] in ("Completed", "Stopped"), told.get("FailureReason")
        with tarfile.open(fileobj=io.BytesIO(self.read(f"out/{name}/output/model.tar.gz"))) as tar:
            found = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            return {path.removeprefix("./"): file.read() for path, file in found.items() if file is not None}

    def _ended(self, name: str) -> dict[str, Any] | None:
        told = self.describe(name)
        return told if told["TrainingJobStatus"] in ENDS else None
