"""Hub models as plain values: cards, and the requests by which one is deployed or fine-tuned, as JumpStart's are."""

import json
from collections.abc import Mapping, Sequence
from pprint import pformat
from typing import Any, NamedTuple

_FIRST = 6
"Hyperparameters that a form shows at once; the others open on demand."
_VARIANT = "AllTraffic"
_CODE_CHANNEL, _MODEL_CHANNEL, _DATA_CHANNEL = "code", "model", "training"


class HubCard(NamedTuple):
    """A model of a hub in a list."""

    name: str
    version: str
    title: str
    about: str


class HubField(NamedTuple):
    """A hyperparameter of a model's training, as a form asks for it."""

    name: str
    value: str
    options: list[str]
    limits: str


class HubForm(NamedTuple):
    """The values that are filled in for a deployment or a fine-tuning."""

    name: str
    role: str
    instance_type: str
    instances: int = 1
    data: str = ""
    output: str = ""
    hyper: Mapping[str, str] = {}


class SageMakerCall(NamedTuple):
    """An operation of SageMaker with its members."""

    operation: str
    members: dict[str, Any]


def hub_card(told: Mapping[str, Any]) -> HubCard:
    """The card of a summary, or of a description."""
    return HubCard(
        told["HubContentName"],
        told.get("HubContentVersion", ""),
        told.get("HubContentDisplayName") or told["HubContentName"],
        told.get("HubContentDescription", ""),
    )


def hub_fields(document: Mapping[str, Any], given: Mapping[str, str]) -> tuple[list[HubField], list[HubField]]:
    """The hyperparameters of a model's training: those shown at once, and the others."""
    found = [
        HubField(
            each["Name"],
            given.get(each["Name"], str(each["Default"])),
            [str(option) for option in each.get("Options", [])],
            f"{each['Min']:g} – {each['Max']:g}" if "Min" in each and "Max" in each else "",
        )
        for each in _of_algorithm(document)
    ]
    return found[:_FIRST], found[_FIRST:]


def deployment_calls(document: Mapping[str, Any], form: HubForm) -> list[SageMakerCall]:
    """CreateModel, CreateEndpointConfig and CreateEndpoint of a model of a hub."""
    container: dict[str, Any] = {
        "Image": document["HostingEcrUri"],
        "ModelDataSource": {
            "S3DataSource": {
                "S3Uri": document["HostingArtifactUri"],
                "S3DataType": document["HostingArtifactS3DataType"],
                "CompressionType": document["HostingArtifactCompressionType"],
            }
        },
        "Environment": {each["Name"]: str(each["Default"]) for each in document["InferenceEnvironmentVariables"]},
    }
    variant = {
        "VariantName": _VARIANT,
        "ModelName": form.name,
        "InstanceType": form.instance_type,
        "InitialInstanceCount": form.instances,
        "InitialVariantWeight": 1.0,
    }
    return [
        SageMakerCall(
            "create_model", {"ModelName": form.name, "PrimaryContainer": container, "ExecutionRoleArn": form.role}
        ),
        SageMakerCall("create_endpoint_config", {"EndpointConfigName": form.name, "ProductionVariants": [variant]}),
        SageMakerCall("create_endpoint", {"EndpointName": form.name, "EndpointConfigName": form.name}),
    ]


def training_call(document: Mapping[str, Any], form: HubForm) -> SageMakerCall:
    """CreateTrainingJob of a model of a hub: the hub's own script, with the model and the data as channels."""
    defaults = {each["Name"]: str(each["Default"]) for each in document["Hyperparameters"]}
    known = {each["Name"] for each in _of_algorithm(document)}
    chosen = {name: text for name, text in form.hyper.items() if name in known and text}
    channels = {
        _DATA_CHANNEL: form.data,
        _MODEL_CHANNEL: document["TrainingArtifactUri"],
        _CODE_CHANNEL: document["TrainingScriptUri"],
    }
    members = {
        "TrainingJobName": form.name,
        "RoleArn": form.role,
        "AlgorithmSpecification": {
            "TrainingImage": document["TrainingEcrUri"],
            "TrainingInputMode": "File",
            "MetricDefinitions": [dict(each) for each in document["TrainingMetrics"]],
        },
        # Scripts of SageMaker's toolkits read each hyperparameter as JSON.
        "HyperParameters": {name: json.dumps(text) for name, text in (defaults | chosen).items()},
        "InputDataConfig": [
            {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
            for name, uri in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": form.output},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": form.instance_type,
            "VolumeSizeInGB": document["TrainingVolumeSize"],
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": document["MaxRuntimeInSeconds"]},
    }
    return SageMakerCall("create_training_job", members)


def program(calls: Sequence[SageMakerCall]) -> str:
    """The calls as a program of boto3."""
    lines = ["import boto3", "", 'sagemaker = boto3.client("sagemaker")']
    for operation, members in calls:
        lines.append(f"sagemaker.{operation}(")
        for name, value in members.items():
            text = pformat(value, width=90, sort_dicts=False).replace("\n", "\n    ")
            lines.append(f"    {name}={text},")
        lines.append(")")
    return "\n".join(lines)


def _of_algorithm(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The hyperparameters that people choose; the others say to the container where its script is."""
    return [each for each in document.get("Hyperparameters", []) if each.get("Scope") == "algorithm"]
