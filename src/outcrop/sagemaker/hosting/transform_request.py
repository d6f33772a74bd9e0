"""The CreateTransformJob request, checked and put on record as a job. What is not real here is refused by its name."""

from collections.abc import Mapping
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Invalid, ServiceRefusal
from outcrop.sagemaker.hosting import configs, models
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.transform_kind import KIND
from outcrop.sagemaker.training_request import SERVICE
from outcrop.store.tags import check_number, tags_of

_WHOLE = (None, "$")
"Filters that leave a record as it is."


def create(
    house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str, parent: str | None = None
) -> str:
    """Check the request, write the job's row, and return its ARN. Raises Refusal.

    `parent` is the pipeline execution that creates it.
    """
    name = params["TransformJobName"]
    job_arn = sagemaker_arn(region, house.account, f"{KIND.name}/{name.lower()}")
    _check(params)
    model = models.find(house, region, params["ModelName"])
    count = params["TransformResources"]["InstanceCount"]
    fleet = configs.fleet_of(model, num_copies=count)
    sealed_by = params["TransformOutput"].get("KmsKeyId", "")
    data = house.data.under(fleet.role, source_arn=job_arn, service=SERVICE, kms_key_id=sealed_by)
    data.check_output(params["TransformOutput"]["S3OutputPath"])
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(job_arn, tags)
    kept = {member: value for member, value in params.items() if member != "Tags"}
    with house.store.transaction():
        if house.store.resources.find(KIND.name, region, name) is not None:
            raise ServiceRefusal(
                "ResourceInUse",
                "Job name must be unique within an AWS account and region, and a job with this name already exists "
                f"({job_arn})",
                http_status=400,
            )
        house.jobs.add(
            KIND,
            job_arn=job_arn,
            name=name,
            region=region,
            document={"request": kept, "fleet": fleet.document(), "numDone": 0},
            owner=owner,
            parent=parent,
        )
        house.store.tags.put(job_arn, tags)
    return job_arn


def _check(params: Mapping[str, Any]) -> None:
    """Raises Invalid for what would not be done as the request says."""
    source = params["TransformInput"]
    kind = source["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in ("S3Prefix", "ManifestFile"):
        raise Invalid(f"TransformInput.DataSource.S3DataSource.S3DataType: {kind} is not built. Give S3Prefix.")
    if source.get("SplitType", "None") not in ("None", "Line"):
        raise Invalid(f"TransformInput.SplitType: {source['SplitType']} is not built. Give Line or None.")
    if params["TransformResources"].get("VolumeKmsKeyId"):
        raise Invalid(
            "TransformResources.VolumeKmsKeyId: folders of running jobs are not sealed yet. Leave it out, and encrypt "
            "the disk. TransformOutput.KmsKeyId seals what the job puts into S3."
        )
    if params.get("DataCaptureConfig"):
        raise Invalid("DataCaptureConfig: capture of transform jobs is not built. Leave it out.")
    if params.get("Environment"):
        raise Invalid("Environment: variables of a transform job are not built. Give them to the model.")
    processing = params.get("DataProcessing", {})
    for member in ("InputFilter", "OutputFilter"):
        if processing.get(member) not in _WHOLE:
            raise Invalid(f"DataProcessing.{member}: filters are not built. Give $, or leave it out.")
    if processing.get("JoinSource", "None") != "None":
        raise Invalid("DataProcessing.JoinSource: records are not joined with their answers. Leave it out.")
