"""The folder of a training job on this machine, and the files that a script finds in /opt/ml.

What stands in the files is that of SageMaker's containers:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.settings import Settings

HOST = "algo-1"
_GROUP = "homogeneousCluster"
_INTERFACE = "lo"
"The only network that a sandbox has; a script that lets its processes talk is told to take it."


def folder_of(settings: Settings, job_arn: str) -> Path:
    """The job's own folder; names come again in other regions, and have letters that no folder need have."""
    return settings.runs / f"training-{hashlib.sha256(job_arn.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, kw_only=True)
class JobFolder:
    """The places of one training job."""

    root: Path

    @property
    def opt_ml(self) -> Path:
        """/opt/ml of the script."""
        return self.root / "ml"

    @property
    def sandbox(self) -> Path:
        return self.root / "sandbox"

    @property
    def code(self) -> Path:
        return self.opt_ml / "code"

    @property
    def environment(self) -> Path:
        """The job's own environment of Python, with what its requirements bring."""
        return self.opt_ml / "environment"

    @property
    def model(self) -> Path:
        return self.opt_ml / "model"

    @property
    def output(self) -> Path:
        return self.opt_ml / "output"

    @property
    def input(self) -> Path:
        return self.opt_ml / "input"

    @contextmanager
    def without_data(self) -> Iterator[None]:
        """Keep the data of an attempt before this one out of /opt/ml inside the block."""
        aside = self.root / "input"
        if self.input.exists():
            self.input.rename(aside)
        try:
            yield
        finally:
            if aside.exists():
                shutil.rmtree(self.input, ignore_errors=True)
                aside.rename(self.input)

    @property
    def log(self) -> Path:
        """Everything that the script has printed, in every attempt."""
        return self.root / "printed.log"

    def channel(self, name: str) -> Path:
        return self.opt_ml / "input" / "data" / name

    def make(self) -> None:
        for folder in (self.sandbox, self.code, self.model, self.output / "data", self.opt_ml / "input" / "data"):
            folder.mkdir(parents=True, exist_ok=True)

    def write_configuration(self, request: Mapping[str, Any]) -> None:
        """Write the files of /opt/ml/input/config for a CreateTrainingJob request."""
        folder = self.opt_ml / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in configuration(request).items():
            (folder / name).write_text(json.dumps(content, indent=2), "utf-8")


def configuration(request: Mapping[str, Any]) -> dict[str, Any]:
    """The content of each file of /opt/ml/input/config, by its name."""
    kind = request["ResourceConfig"].get("InstanceType", "")
    group = {"instance_group_name": _GROUP, "instance_type": kind, "hosts": [HOST]}
    mode = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    return {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": {
            channel["ChannelName"]: _channel(channel, mode) for channel in request.get("InputDataConfig", [])
        },
        "resourceconfig.json": {
            "current_host": HOST,
            "current_instance_type": kind,
            "current_group_name": _GROUP,
            "hosts": [HOST],
            "instance_groups": [group],
            "network_interface_name": _INTERFACE,
        },
    }


def _channel(channel: Mapping[str, Any], mode: str) -> dict[str, str]:
    source = channel["DataSource"].get("S3DataSource", {})
    content = {"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}
    return {
        **content,
        "TrainingInputMode": channel.get("InputMode", mode),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
