"""The folder of a training job on this machine, and the files that a script finds in /opt/ml.

What stands in the files is that of SageMaker's containers:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.sagemaker.channels import mode_of
from outcrop.sagemaker.instances import TrainingInstance, has_channel, instances_of
from outcrop.settings import Settings

_INTERFACE = "lo"
"The only network that a sandbox has; a script that lets its processes talk is told to take it."


def folder_of(settings: Settings, job_arn: str) -> Path:
    """The job's own folder; names come again in other regions, and have letters that no folder need have."""
    return settings.runs / f"training-{hashlib.sha256(job_arn.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, kw_only=True)
class JobFolder:
    """The places of one instance of a training job."""

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
    def making(self) -> "JobFolder":
        """A folder of the same kind, in which code and environment are made before anything else is there."""
        return JobFolder(root=self.root / "making")

    @property
    def log(self) -> Path:
        """Everything that the script has printed, in every attempt."""
        return self.root / "printed.log"

    def channel(self, name: str) -> Path:
        return self.data / name

    @property
    def data(self) -> Path:
        return self.opt_ml / "input" / "data"

    def make(self) -> None:
        for folder in (self.sandbox, self.model, self.output / "data", self.data):
            folder.mkdir(parents=True, exist_ok=True)

    def write_configuration(self, request: Mapping[str, Any], instance: TrainingInstance) -> None:
        """Write the files of /opt/ml/input/config for a CreateTrainingJob request."""
        folder = self.opt_ml / "input" / "config"
        folder.mkdir(parents=True)
        for name, content in configuration(request, instance).items():
            (folder / name).write_text(json.dumps(content, indent=2), "utf-8")


def configuration(request: Mapping[str, Any], instance: TrainingInstance | None = None) -> dict[str, Any]:
    """The content of each file of /opt/ml/input/config by its name, for an instance, or the first."""
    instances = instances_of(request["ResourceConfig"])
    own = instance or instances[0]
    return {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": {
            channel["ChannelName"]: _channel(channel, mode_of(channel, request))
            for channel in request.get("InputDataConfig", [])
            if has_channel(own, channel)
        },
        "resourceconfig.json": {
            "current_host": own.host,
            "current_instance_type": own.kind,
            "current_group_name": own.group,
            "hosts": sorted(each.host for each in instances),
            "instance_groups": _groups(instances),
            "network_interface_name": _INTERFACE,
        },
    }


def _groups(instances: Sequence[TrainingInstance]) -> list[dict[str, Any]]:
    kinds = {each.group: each.kind for each in instances}
    return [
        {
            "instance_group_name": group,
            "instance_type": kind,
            "hosts": sorted(each.host for each in instances if each.group == group),
        }
        for group, kind in kinds.items()
    ]


def _channel(channel: Mapping[str, Any], mode: str) -> dict[str, str]:
    source = channel["DataSource"].get("S3DataSource", {})
    content = {"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}
    return {
        **content,
        "TrainingInputMode": mode,
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
