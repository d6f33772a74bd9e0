"""Batch transform jobs: create, describe, list, stop."""

from typing import Any

from outcrop.api.bedrock.listing import moment, told
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.api.sagemaker.listing import page
from outcrop.errors import Conflict, Invalid
from outcrop.house import House
from outcrop.sagemaker.hosting import transform_request
from outcrop.sagemaker.hosting.transform_kind import KIND
from outcrop.store.resources import Resource, Row

_ECHOED = (
    "ModelName", "MaxConcurrentTransforms", "ModelClientConfig", "MaxPayloadInMB", "BatchStrategy", "TransformInput",
    "TransformOutput", "TransformResources", "DataProcessing", "ExperimentConfig",
)  # fmt: skip


def create_transform_job(house: House, call: Call) -> Answered:
    created = transform_request.create(house, call.params, region=call.region, owner=call.caller.principal)
    return {"TransformJobArn": created}


@quick
def describe_transform_job(house: House, call: Call) -> Answered:
    row = _row(house, call)
    return Derived(row, lambda: told(row.resource(), _job))


def list_transform_jobs(house: House, call: Call) -> Answered:
    return page(house, call, KIND.name, _summary, into="TransformJobSummaries")


def stop_transform_job(house: House, call: Call) -> Answered:
    row = _row(house, call)
    try:
        house.jobs.request_stop(row.arn)
    except Conflict as ended:
        raise Invalid(
            f"The request was rejected because the transform job is in status {house.jobs.get(row.arn).status}."
        ) from ended
    return {}


def _row(house: House, call: Call) -> Row:
    row = house.store.resources.row_named(KIND.name, call.region, call.params["TransformJobName"])
    if row is None:
        raise Invalid("Requested resource not found.")
    return row


def _job(job: Resource) -> dict[str, Any]:
    document = job.document
    request = document["request"]
    return {
        **{member: request.get(member) for member in _ECHOED},
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "TransformJobStatus": job.status,
        "FailureReason": document.get("failureMessage"),
        "CreationTime": job.created,
        "TransformStartTime": moment(document.get("beganTransform")),
        "TransformEndTime": moment(document.get("endTime")),
    }


def _summary(job: Resource) -> dict[str, Any]:
    return {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "CreationTime": job.created,
        "TransformEndTime": moment(job.document.get("endTime")),
        "LastModifiedTime": job.updated,
        "TransformJobStatus": job.status,
        "FailureReason": job.document.get("failureMessage"),
    }


OPERATIONS: dict[str, Handler] = {
    "CreateTransformJob": create_transform_job,
    "DescribeTransformJob": describe_transform_job,
    "ListTransformJobs": list_transform_jobs,
    "StopTransformJob": stop_transform_job,
}
