"""The document of a model in a hub: its specification with names in PascalCase, and URIs in place of keys."""

from collections.abc import Mapping
from typing import Any

from outcrop.sagemaker.jumpstart.public_models import TASK, PublicModel
from outcrop.sagemaker.jumpstart.specification import METRICS, bucket, specification

SCHEMA_VERSION = "2.3.0"
_AS_THEY_ARE = (
    "min_sdk_version", "training_supported", "incremental_training_supported", "resource_name_base", "gated_bucket",
    "hosting_prepacked_artifact_version", "hosting_use_script_uri", "default_inference_instance_type",
    "supported_inference_instance_types", "inference_volume_size", "inference_enable_network_isolation",
    "default_training_instance_type", "supported_training_instance_types", "training_volume_size",
    "training_enable_network_isolation", "inference_dependencies", "training_dependencies",
)  # fmt: skip


def document(model: PublicModel, *, region: str, account: str) -> dict[str, Any]:
    """The HubContentDocument of a model of the public hub, before it is written as JSON."""
    told = specification(model, region=region, account=account)
    content = f"s3://{bucket(region)}"
    artifact, script = f"{content}/{told['hosting_artifact_key']}", f"{content}/{told['training_script_key']}"
    hosting, training = (
        _variants(told[f"{scope}_instance_type_variants"], region) for scope in ("hosting", "training")
    )
    return {
        **{_pascal(name): told[name] for name in _AS_THEY_ARE},
        "Url": told["url"],
        "ModelTypes": ["OPEN_WEIGHTS"],
        "Capabilities": [],
        "Task": TASK,
        "Framework": model.base.provider,
        "License": model.base.licence,
        "HostingEcrUri": _image(hosting),
        "HostingArtifactUri": artifact,
        "HostingArtifactS3DataType": "S3Prefix",
        "HostingArtifactCompressionType": "None",
        "HostingPrepackedArtifactUri": artifact,
        "HostingInstanceTypeVariants": hosting,
        "InferenceEnvironmentVariables": [_renamed(each) for each in told["inference_environment_variables"]],
        "SageMakerSdkPredictorSpecifications": _renamed(told["predictor_specs"]),
        "DefaultPayloads": {name: _renamed(payload) for name, payload in told["default_payloads"].items()},
        "ModelDataDownloadTimeout": told["deploy_kwargs"]["model_data_download_timeout"],
        "ContainerStartupHealthCheckTimeout": told["deploy_kwargs"]["container_startup_health_check_timeout"],
        "FineTuningSupported": True,
        "ValidationSupported": True,
        "TrainingEcrUri": _image(training),
        "TrainingArtifactUri": artifact,
        "TrainingArtifactS3DataType": "S3Prefix",
        "TrainingArtifactCompressionType": "None",
        "TrainingScriptUri": script,
        "TrainingPrepackedScriptUri": script,
        "TrainingPrepackedScriptVersion": "1.0.0",
        "TrainingInstanceTypeVariants": training,
        "TrainingMetrics": METRICS,
        "Hyperparameters": [_renamed(each) for each in told["hyperparameters"]],
        "MaxRuntimeInSeconds": told["estimator_kwargs"]["max_run"],
    }


def _variants(given: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Images by families of instances: a hub is in one region, and names them without aliases."""
    images = given["regional_aliases"][region]
    return {
        "Variants": {
            family: {"Properties": {"ImageUri": images[each["regional_properties"]["image_uri"].removeprefix("$")]}}
            for family, each in given["variants"].items()
        }
    }


def _image(variants: Mapping[str, Any]) -> str:
    first: str = next(iter(variants["Variants"].values()))["Properties"]["ImageUri"]
    return first


def _renamed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {_pascal(name): each for name, each in value.items()}


def _pascal(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))
