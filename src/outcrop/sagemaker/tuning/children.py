"""The training jobs of a tuning job: their requests, and what their records tell of objective and hyperparameters."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.sagemaker.tuning.plan import TrainingDefinition
from outcrop.sagemaker.tuning.ranges import OBJECTIVE
from outcrop.sagemaker.tuning.states import ObjectiveStatus
from outcrop.search import ranges
from outcrop.search.ranges import Value
from outcrop.search.strategy import Objective
from outcrop.store.resources import Resource

TUNING = "tuning"
"The member of a training job's document that its tuning job has written."
_COPIED = (
    "AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "RetryStrategy",
    "Environment",
)  # fmt: skip
_OF_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
_DEFAULT_VOLUME_GB = 30


@dataclass(frozen=True, kw_only=True)
class TunedJob:
    """A training job as its tuning job sees it."""

    record: Resource
    number: int
    "From 0, in the tuning job."
    definition: int
    "The place of its definition among those of the tuning job."
    tuned: Mapping[str, str]
    objective: Objective

    @classmethod
    def of(cls, record: Resource) -> "TunedJob | None":
        """None for a training job that nothing has tuned."""
        kept = record.document.get(TUNING)
        if kept is None:
            return None
        return cls(
            record=record,
            number=kept["number"],
            definition=kept["definition"],
            tuned=kept["tuned"],
            objective=Objective(metric=kept["metric"], maximize=kept["maximize"]),
        )

    @property
    def status(self) -> TrainingStatus:
        return TrainingStatus(self.record.status)

    @property
    def is_running(self) -> bool:
        return self.status in (TrainingStatus.IN_PROGRESS, TrainingStatus.STOPPING)

    @property
    def value(self) -> float | None:
        """The last value of its objective; None until it has ended, and for one that failed or never told any."""
        if self.is_running or self.status is TrainingStatus.FAILED:
            return None
        told = self.record.document.get("finalMetrics", {}).get(self.objective.metric)
        return told["Value"] if told is not None and math.isfinite(told["Value"]) else None

    @property
    def objective_status(self) -> ObjectiveStatus:
        if self.is_running:
            return ObjectiveStatus.PENDING
        return ObjectiveStatus.FAILED if self.value is None else ObjectiveStatus.SUCCEEDED

    @property
    def ended(self) -> str:
        """When it ended, as a text that sorts; empty while it runs."""
        return "" if self.is_running else str(self.record.document.get("endTime", ""))

    def summary(self) -> dict[str, Any]:
        """A HyperParameterTrainingJobSummary, with times as texts: as a record can keep it."""
        document, kept = self.record.document, self.record.document[TUNING]
        value = self.value
        told = {
            "TrainingJobDefinitionName": kept["definitionName"],
            "TrainingJobName": self.record.name,
            "TrainingJobArn": self.record.arn,
            "CreationTime": self.record.created.isoformat(),
            "TrainingStartTime": document.get("trainingStartTime"),
            "TrainingEndTime": document.get("trainingEndTime"),
            "TrainingJobStatus": self.record.status,
            "TunedHyperParameters": dict(self.tuned),
            "FailureReason": (document.get("failureMessage") or "")[:1024] or None,
            "ObjectiveStatus": self.objective_status,
        }
        if value is not None:
            told["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": self.objective.type,
                "MetricName": self.objective.metric,
                "Value": value,
            }
        return {member: each for member, each in told.items() if each is not None}


def with_moments(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary whose times are times again."""
    return {
        member: datetime.fromisoformat(value) if member.endswith("Time") else value for member, value in summary.items()
    }


def name_of(tuning_job: str, number: int) -> str:
    """A name for the training job with this number, from 0."""
    return f"{tuning_job}-{number + 1:03d}-{secrets.token_hex(4)}"


def request_of(
    definition: TrainingDefinition, values: Mapping[str, Value], *, name: str, tags: Mapping[str, str]
) -> dict[str, Any]:
    """The CreateTrainingJob request for a point of a definition's space."""
    given = definition.request
    request = {member: given[member] for member in _COPIED if member in given}
    request |= {
        "TrainingJobName": name,
        "HyperParameters": {
            **definition.static,
            **ranges.texts(definition.space, values),
            OBJECTIVE: definition.objective.metric,
        },
        "ResourceConfig": resources_of(given),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if "CheckpointConfig" in given:
        # Each has a folder of its own, or one would go on from the checkpoints of another.
        uri = f"{given['CheckpointConfig']['S3Uri'].rstrip('/')}/{name}"
        request["CheckpointConfig"] = {**given["CheckpointConfig"], "S3Uri": uri}
    return request


def kept_with(
    definition: TrainingDefinition, values: Mapping[str, Value], *, job: str, number: int, place: int
) -> dict[str, Any]:
    """The member that a tuning job writes into the record of its training job."""
    return {
        "job": job,
        "number": number,
        "definition": place,
        "definitionName": definition.name,
        "tuned": ranges.texts(definition.space, values),
        "metric": definition.objective.metric,
        "maximize": definition.objective.maximize,
    }


def resources_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The ResourceConfig of a definition's training jobs; of several configurations the first, which is preferred."""
    resources = given.get("HyperParameterTuningResourceConfig")
    if resources is None:
        return {"VolumeSizeInGB": _DEFAULT_VOLUME_GB, **given.get("ResourceConfig", {})}
    several = resources.get("InstanceConfigs") or ()
    chosen = {**resources, **(several[0] if several else {})}
    return {"VolumeSizeInGB": _DEFAULT_VOLUME_GB} | {
        member: chosen[member] for member in _OF_RESOURCES if member in chosen
    }
