"""The specification of a foundation model, as JumpStart's clients read it from the content bucket."""

from typing import Any

from outcrop.sagemaker.jumpstart import hyperparameters, script_archive
from outcrop.sagemaker.jumpstart.bucket_names import CONTENT, name_in
from outcrop.sagemaker.jumpstart.public_models import TASK, PublicModel

MIN_SDK_VERSION = "2.0.0"
TRAINING_REPOSITORY = "outcrop-training"
HOSTING_REPOSITORY = "huggingface-pytorch-tgi-inference"
TRAINING_TAG = "1.0-py3"
HOSTING_TAG = "2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"
METRICS = [
    {"Name": f"huggingface-{TASK}:train-loss", "Regex": r"train_loss=([0-9.e+-]+)"},
    {"Name": f"huggingface-{TASK}:eval-loss", "Regex": r"eval_loss=([0-9.e+-]+)"},
]
"What the training script prints, and how metrics are found in it."
_INSTANCES = {
    "c5": ("xlarge", "2xlarge", "4xlarge"),
    "c6i": ("xlarge", "2xlarge", "4xlarge"),
    "c7i": ("xlarge", "2xlarge", "4xlarge"),
    "m5": ("xlarge", "2xlarge", "4xlarge", "12xlarge"),
    "m6i": ("xlarge", "2xlarge", "4xlarge"),
    "m7i": ("xlarge", "2xlarge", "4xlarge"),
    "r5": ("xlarge", "2xlarge", "4xlarge"),
    "g4dn": ("xlarge", "2xlarge", "12xlarge"),
    "g5": ("xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge", "48xlarge"),
    "g6": ("xlarge", "2xlarge", "12xlarge", "48xlarge"),
    "g6e": ("xlarge", "2xlarge", "12xlarge", "48xlarge"),
    "p3": ("2xlarge", "8xlarge", "16xlarge"),
    "p3dn": ("24xlarge",),
    "p4d": ("24xlarge",),
    "p4de": ("24xlarge",),
    "p5": ("48xlarge",),
}
"Every one of them is this machine, so all are as good."
_TYPES = [f"ml.{family}.{size}" for family, sizes in _INSTANCES.items() for size in sizes]
_DEFAULT_TYPE = "ml.m5.xlarge"
_VOLUME_GB = 30
_COPIES = 16
"Of a model's files, while it is trained in full: weights in fp32 with the optimizer's, twice, and the result."
_MAX_RUN_S = 360_000
_BYTES_PER_GB = 1 << 30
_ALIAS = "image_uri_1"


def artifact_prefix(model: PublicModel) -> str:
    """The prefix below which the model's files lie in the content bucket."""
    return f"{TASK}/{model.name}/v{model.version}/"


def specification_key(model: PublicModel) -> str:
    return f"community_models/{model.name}/specs_v{model.version}.json"


def specification(model: PublicModel, *, region: str, account: str) -> dict[str, Any]:
    """The model's specification; `account` is that of the registry in which its images are said to lie."""
    prefix = artifact_prefix(model)
    registry = f"{account}.dkr.ecr.{region}.amazonaws.com"
    return {
        "model_id": model.name,
        "url": "",
        "version": model.version,
        "min_sdk_version": MIN_SDK_VERSION,
        "training_supported": True,
        "incremental_training_supported": False,
        "deprecated": False,
        "inference_vulnerable": False,
        "training_vulnerable": False,
        "inference_vulnerabilities": [],
        "training_vulnerabilities": [],
        "inference_dependencies": [],
        "training_dependencies": [],
        "resource_name_base": model.name[:40].strip("-"),
        "gated_bucket": False,
        "hosting_artifact_key": prefix,
        "hosting_prepacked_artifact_key": prefix,
        "hosting_prepacked_artifact_version": model.version,
        "hosting_use_script_uri": False,
        "hosting_instance_type_variants": _variants(region, f"{registry}/{HOSTING_REPOSITORY}:{HOSTING_TAG}"),
        "inference_environment_variables": _environment(),
        "default_inference_instance_type": _DEFAULT_TYPE,
        "supported_inference_instance_types": _TYPES,
        "inference_volume_size": _volume(model),
        "inference_enable_network_isolation": True,
        "training_artifact_key": prefix,
        "training_script_key": script_archive.KEY,
        "training_prepacked_script_key": script_archive.KEY,
        "training_instance_type_variants": _variants(region, f"{registry}/{TRAINING_REPOSITORY}:{TRAINING_TAG}"),
        "hyperparameters": [*hyperparameters.specifications(model.learning_rate), *_of_container()],
        "metrics": METRICS,
        "default_training_instance_type": _DEFAULT_TYPE,
        "supported_training_instance_types": _TYPES,
        "training_volume_size": _volume(model, copies=_COPIES),
        "training_enable_network_isolation": True,
        "estimator_kwargs": {"encrypt_inter_container_traffic": False, "max_run": _MAX_RUN_S},
        "fit_kwargs": {},
        "model_kwargs": {},
        "deploy_kwargs": {"model_data_download_timeout": 3600, "container_startup_health_check_timeout": 3600},
        "predictor_specs": {
            "supported_content_types": ["application/json"],
            "supported_accept_types": ["application/json"],
            "default_content_type": "application/json",
            "default_accept_type": "application/json",
        },
        "default_payloads": {
            "Continuation": {
                "content_type": "application/json",
                "prompt_key": "inputs",
                "output_keys": {"generated_text": "[0].generated_text"},
                "body": {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 64}},
            }
        },
    }


def manifest_entry(model: PublicModel) -> dict[str, Any]:
    """The entry of a model in the manifest."""
    return {
        "model_id": model.name,
        "version": model.version,
        "min_version": MIN_SDK_VERSION,
        "spec_key": specification_key(model),
        "search_keywords": keywords(model),
    }


def keywords(model: PublicModel) -> list[str]:
    """The words by which hubs and the SDK's filters find a model."""
    provider = model.base.provider.lower().replace(" ", "-")
    return [f"@task:{TASK}", f"@framework:{provider}", f"@min-sdk-version:{MIN_SDK_VERSION}", f"@id:{model.base.id}"]


def bucket(region: str) -> str:
    """The content bucket of a region."""
    return name_in(CONTENT, region)


def _variants(region: str, image: str) -> dict[str, Any]:
    chosen = {"regional_properties": {"image_uri": f"${_ALIAS}"}}
    return {"regional_aliases": {region: {_ALIAS: image}}, "variants": dict.fromkeys(_INSTANCES, chosen)}


def _environment() -> list[dict[str, Any]]:
    values = {
        "HF_MODEL_ID": "/opt/ml/model",
        "SM_NUM_GPUS": "1",
        "ENDPOINT_SERVER_TIMEOUT": "3600",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    }
    return [
        {"name": name, "type": "text", "default": value, "scope": "container", "required_for_model_class": True}
        for name, value in values.items()
    ]


def _of_container() -> list[dict[str, Any]]:
    values = {
        "sagemaker_submit_directory": "/opt/ml/input/data/code/sourcedir.tar.gz",
        "sagemaker_program": script_archive.ENTRY,
        "sagemaker_container_log_level": "20",
    }
    return [{"name": name, "type": "text", "default": value, "scope": "container"} for name, value in values.items()]


def _volume(model: PublicModel, *, copies: int = 1) -> int:
    """Gigabytes of disk that hold the model's files so often, and 30 beside them."""
    return _VOLUME_GB + copies * -(-sum(size for _, size, _ in model.state) // _BYTES_PER_GB)
