"""Steps that create something of SageMaker: its request from their arguments, its row, and its properties afterwards.

A name is given here and follows from the execution, the step and the attempt. The successor of a killed worker finds by
it what that has created, so nothing is created twice.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Invalid, Unreadable
from outcrop.protocol import service_model, validate
from outcrop.protocol.shapes import StructureShape
from outcrop.protocol.values import json_values
from outcrop.sagemaker import artifacts, training_request
from outcrop.sagemaker.hosting import models, transform_request
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.transform_kind import KIND as TRANSFORM
from outcrop.sagemaker.pipelines.states import StepStatus, StepType
from outcrop.sagemaker.training_kind import KIND as TRAINING
from outcrop.sagemaker.tuning import request as tuning_request
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.sagemaker.tuning.kind import KIND as TUNING
from outcrop.store.resources import Resource

Creating = Callable[[HostingRooms, dict[str, Any], str, str, str], None]
"Told the request, the region, the owner, and the ARN of the execution. Raises Refusal."
Properties = Callable[[HostingRooms, Resource], dict[str, Any]]
_SUFFIX = 10
_ENDS = {"Completed": StepStatus.SUCCEEDED, "Failed": StepStatus.FAILED, "Stopped": StepStatus.STOPPED}


@dataclass(frozen=True, kw_only=True)
class ResourceStep:
    """A type of step that creates something: by which operation, and what others may refer to of it."""

    operation: str
    named_by: str
    "The member of the request that is its name."
    longest_name: int
    kind: str
    "Of its row, and in its ARN."
    metadata: str
    "The member of a step's Metadata that tells its ARN."
    properties: tuple[str, ...]
    create: Creating
    read: Properties

    @property
    def shape(self) -> StructureShape:
        shape = service_model.operation("sagemaker", self.operation).input_shape
        assert shape is not None, "it has members"
        return shape

    def arn(self, account: str, region: str, name: str) -> str:
        return sagemaker_arn(region, account, f"{self.kind}/{name.lower()}")

    def name(self, arguments: Mapping[str, Any], *, execution: str, step: str, attempt: int) -> str:
        """The name of what this attempt creates. `execution` is an id.

        A name among the arguments is a prefix, as in SageMaker, for executions of one pipeline create many.
        """
        digest = hashlib.sha256(f"{execution}/{step}/{attempt}".encode()).digest()
        end = f"-{base64.b32encode(digest).decode().lower()[:_SUFFIX]}"
        if self.longest_name < 63:  # a tuning job's, which has room for little
            return f"{execution}-{_plain(step)}"[: self.longest_name - len(end)].rstrip("-") + end
        given = arguments.get(self.named_by)
        begin = f"{_plain(given)[:20]}-{execution}" if isinstance(given, str) else f"pipelines-{execution}"
        return f"{begin}-{_plain(step)}"[: self.longest_name - len(end)].rstrip("-") + end

    def request(self, arguments: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The request of these arguments, all references of which are resolved. Raises Invalid."""
        shape = self.shape
        for member in arguments.keys() - shape.members.keys():
            raise Invalid(f"Arguments.{member}: {self.operation} has no such member.")
        try:
            request: dict[str, Any] = json_values.read(shape, {**arguments, self.named_by: name})
        except Unreadable as wrong:
            raise Invalid(f"Arguments.{wrong.message}. Give a value of that type; Std:Join makes a text.") from wrong
        validate.check(shape, request)
        return request

    def status(self, row: Resource) -> StepStatus:
        """The state of the step whose row this is."""
        return StepStatus.SUCCEEDED if self.kind == models.KIND else _ENDS.get(row.status, StepStatus.EXECUTING)


def _plain(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9-]", "-", text).strip("-") or "step"


def _training(_house: HostingRooms, row: Resource) -> dict[str, Any]:
    request = row.document["request"]
    return {
        **request,
        "TrainingJobName": row.name,
        "TrainingJobArn": row.arn,
        "TrainingJobStatus": row.status,
        "ModelArtifacts": {"S3ModelArtifacts": artifacts.model_uri(request)},
        "FinalMetricDataList": list((row.document.get("finalMetrics") or {}).values()),
    }


def _tuning(house: HostingRooms, row: Resource) -> dict[str, Any]:
    found = [TunedJob.of(child) for child in house.jobs.children(row.arn)]
    told = [each for each in found if each is not None and each.value is not None]
    best = sorted(told, key=lambda each: (each.objective.cost(each.value or 0.0), each.number))
    return {
        "HyperParameterTuningJobName": row.name,
        "HyperParameterTuningJobArn": row.arn,
        "HyperParameterTuningJobStatus": row.status,
        "BestTrainingJob": (row.document.get("outcome") or {}).get("best"),
        "TrainingJobSummaries": [each.summary() for each in best],
    }


def _transform(_house: HostingRooms, row: Resource) -> dict[str, Any]:
    return {
        **row.document["request"],
        "TransformJobName": row.name,
        "TransformJobArn": row.arn,
        "TransformJobStatus": row.status,
    }


def _model(_house: HostingRooms, row: Resource) -> dict[str, Any]:
    return {**row.document["request"], "ModelName": row.name, "ModelArn": row.arn}


def _create_training(house: HostingRooms, request: dict[str, Any], region: str, owner: str, parent: str) -> None:
    training_request.create(house, request, region=region, owner=owner, parent=parent)


def _create_tuning(house: HostingRooms, request: dict[str, Any], region: str, owner: str, parent: str) -> None:
    tuning_request.create(house, request, region=region, owner=owner, parent=parent)


def _create_transform(house: HostingRooms, request: dict[str, Any], region: str, owner: str, parent: str) -> None:
    transform_request.create(house, request, region=region, owner=owner, parent=parent)


def _create_model(house: HostingRooms, request: dict[str, Any], region: str, _owner: str, _parent: str) -> None:
    models.create(house, request, region=region)


RESOURCE_STEPS: Mapping[StepType, ResourceStep] = {
    StepType.TRAINING: ResourceStep(
        operation="CreateTrainingJob",
        named_by="TrainingJobName",
        longest_name=63,
        kind=TRAINING.name,
        metadata="TrainingJob",
        properties=(
            "TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "ModelArtifacts", "FinalMetricDataList",
            "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
            "ResourceConfig", "StoppingCondition", "CheckpointConfig", "Environment",
        ),
        create=_create_training,
        read=_training,
    ),
    StepType.TUNING: ResourceStep(
        operation="CreateHyperParameterTuningJob",
        named_by="HyperParameterTuningJobName",
        longest_name=32,
        kind=TUNING.name,
        metadata="TuningJob",
        properties=(
            "HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus",
            "BestTrainingJob", "TrainingJobSummaries",
        ),
        create=_create_tuning,
        read=_tuning,
    ),
    StepType.TRANSFORM: ResourceStep(
        operation="CreateTransformJob",
        named_by="TransformJobName",
        longest_name=63,
        kind=TRANSFORM.name,
        metadata="TransformJob",
        properties=(
            "TransformJobName", "TransformJobArn", "TransformJobStatus", "ModelName", "TransformInput",
            "TransformOutput", "TransformResources",
        ),
        create=_create_transform,
        read=_transform,
    ),
    StepType.MODEL: ResourceStep(
        operation="CreateModel",
        named_by="ModelName",
        longest_name=63,
        kind=models.KIND,
        metadata="Model",
        properties=("ModelName", "ModelArn", "PrimaryContainer", "Containers", "ExecutionRoleArn"),
        create=_create_model,
        read=_model,
    ),
}  # fmt: skip
