"""The CreateTrainingJob request, checked and put on record as a job. What is not real here is refused by its name."""

from collections.abc import Mapping
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Invalid, ServiceRefusal
from outcrop.sagemaker import checkpoints, images, instances
from outcrop.sagemaker.images import CodeLauncher
from outcrop.sagemaker.metric_definitions import MetricDefinitions
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.sagemaker.training_kind import KIND
from outcrop.store.tags import check_number, tags_of

SERVICE = "sagemaker.amazonaws.com"
_UNREAL = {
    "ServerlessJobConfig": "serverless customization is Bedrock's here: CreateModelCustomizationJob",
    "MlflowConfig": "there is no MLflow server",
    "ModelPackageConfig": "there is no model registry",
    "InfraCheckConfig": "there is one machine, and nothing to check between several",
}
_UNREAL_ALGORITHM = {
    "AlgorithmName": "there is no marketplace of algorithms. Name a TrainingImage",
    "TrainingImageConfig": "images are not pulled from a registry",
}
_UNREAL_LAUNCHERS = {
    "sagemaker_mpi_enabled": "there is no MPI between the instances of a job",
    "sagemaker_pytorch_ddp_enabled": "it is started by MPI, which is not there",
    "sagemaker_distributed_dataparallel_enabled": "SageMaker's own library of data parallelism is not there",
    "sagemaker_parameter_server_enabled": "there are no parameter servers",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "there is no TensorFlow",
    "sagemaker_pytorch_xla_multi_worker_enabled": "there is no XLA",
}
_TORCHRUN = 'Give distribution={"torch_distributed": {"enabled": True}}, or let the script join its processes itself.'


def create(
    house: TrainingRooms,
    params: Mapping[str, Any],
    *,
    region: str,
    owner: str,
    parent: str | None = None,
    tuning: Mapping[str, Any] | None = None,
) -> str:
    """Check the request, write the job's row, and return its ARN; a worker takes it from there. Raises Refusal.

    `parent` is the tuning job or pipeline execution that creates it, and `tuning` what the former keeps with it.
    """
    name = params["TrainingJobName"]
    job_arn = sagemaker_arn(region, house.account, f"{KIND.name}/{name.lower()}")
    tags = check(house, params, job_arn=job_arn)
    kept = {member: value for member, value in params.items() if member != "Tags"}
    with house.store.transaction():
        if house.store.resources.find(KIND.name, region, name) is not None:
            raise ServiceRefusal(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a training job with this name "
                f"already exists ({job_arn})",
                http_status=400,
            )
        document = {"request": kept, "transitions": [], **({"tuning": dict(tuning)} if tuning else {})}
        house.jobs.add(KIND, job_arn=job_arn, name=name, region=region, document=document, owner=owner, parent=parent)
        house.store.tags.put(job_arn, tags)
    return job_arn


def check(house: TrainingRooms, params: Mapping[str, Any], *, job_arn: str) -> dict[str, str]:
    """The tags of a request that could be done as it is. Raises Refusal."""
    _check_real(params)
    instances.check(params["ResourceConfig"], memory_bytes=memory_of_job(house))
    _check_code(house, params)
    MetricDefinitions(params["AlgorithmSpecification"].get("MetricDefinitions", []))
    if "CheckpointConfig" in params:
        checkpoints.local_path(params)
    sealed_by = params["OutputDataConfig"].get("KmsKeyId", "")
    data = house.data.under(params["RoleArn"], source_arn=job_arn, service=SERVICE, kms_key_id=sealed_by)
    if sealed_by:  # else hours of training would end before a key that cannot be used
        data.check_output(params["OutputDataConfig"]["S3OutputPath"])
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(job_arn, tags)
    return tags


def memory_of_job(house: TrainingRooms) -> int:
    """Bytes of memory that all instances of a job have together: half, for others live here too."""
    return house.sharing.budget_bytes // 2


def _check_real(params: Mapping[str, Any]) -> None:
    """Refuse what would not be done as the request says. Raises Invalid."""
    for member, why in _UNREAL.items():
        if params.get(member):
            raise Invalid(f"{member}: {why}. Leave it out.")
    resources = params["ResourceConfig"]
    for parameter, value in params.get("HyperParameters", {}).items():
        if parameter in _UNREAL_LAUNCHERS and value not in ("false", "False"):
            raise Invalid(f"HyperParameters.{parameter}: {_UNREAL_LAUNCHERS[parameter]}. {_TORCHRUN}")
    if resources.get("VolumeKmsKeyId"):
        raise Invalid(
            "ResourceConfig.VolumeKmsKeyId: folders of running jobs are not sealed yet. Leave it out, and encrypt the "
            "disk. OutputDataConfig.KmsKeyId seals what the job puts into S3."
        )
    for channel in params.get("InputDataConfig", []):
        _check_channel(channel)
        _check_groups(channel, params)


def _check_channel(channel: Mapping[str, Any]) -> None:
    place = f"InputDataConfig.{channel['ChannelName']}"
    if "S3DataSource" not in channel["DataSource"]:
        raise Invalid(f"{place}.DataSource: data comes from S3 here. Give it an S3DataSource.")
    source = channel["DataSource"]["S3DataSource"]
    if source["S3DataType"] == "AugmentedManifestFile":
        raise Invalid(f"{place}.S3DataType: AugmentedManifestFile is not built. Give S3Prefix or ManifestFile.")
    for member, none in (("CompressionType", "None"), ("RecordWrapperType", "None")):
        if channel.get(member, none) != none:
            raise Invalid(f"{place}.{member}: {channel[member]} is not built. Leave it out.")


def _check_groups(channel: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    known = {each.group for each in instances.instances_of(params["ResourceConfig"])}
    for group in channel["DataSource"]["S3DataSource"].get("InstanceGroupNames", []):
        if group not in known:
            raise Invalid(
                f"InputDataConfig.{channel['ChannelName']}.InstanceGroupNames: there is no group {group}. Name one of "
                "ResourceConfig.InstanceGroups."
            )


def _check_code(house: TrainingRooms, params: Mapping[str, Any]) -> None:
    """Raises Invalid for an image that stands for nothing here, or code that would not start."""
    algorithm = params["AlgorithmSpecification"]
    for member in ("AlgorithmName", "TrainingImageConfig"):
        if algorithm.get(member):
            raise Invalid(f"AlgorithmSpecification.{member}: {_UNREAL_ALGORITHM[member]}.")
    if not algorithm.get("TrainingImage"):
        raise Invalid("AlgorithmSpecification.TrainingImage: missing. Name an image; the environment follows from it.")
    family = images.family_of(house.settings, algorithm["TrainingImage"])
    if family.launcher is CodeLauncher.NONE and not algorithm.get("ContainerEntrypoint"):
        raise Invalid(
            f"AlgorithmSpecification.ContainerEntrypoint: missing, and the environment {family.name} starts nothing by "
            "itself. Say what runs."
        )
