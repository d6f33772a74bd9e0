"""Training jobs: create, describe, list, stop, delete."""

import math
from datetime import datetime
from typing import Any

from outcrop.api.bedrock.listing import moment, told
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.api.sagemaker.listing import page
from outcrop.errors import Conflict, Invalid, ServiceRefusal
from outcrop.house import House
from outcrop.sagemaker import artifacts, training_request, transitions
from outcrop.sagemaker.training_kind import KIND
from outcrop.sagemaker.training_states import LIFECYCLE, TrainingStatus
from outcrop.sagemaker.tuning.kind import KIND as TUNING
from outcrop.store.resources import Resource, Row

_ECHOED = (
    "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig",
    "VpcConfig", "StoppingCondition", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining", "CheckpointConfig", "DebugHookConfig", "ExperimentConfig", "DebugRuleConfigurations",
    "TensorBoardOutputConfig", "ProfilerConfig", "Environment", "RetryStrategy", "RemoteDebugConfig",
)  # fmt: skip
_LONGEST_REASON = 1024
_NOT_FOUND = "Requested resource not found."


def create_training_job(house: House, call: Call) -> Answered:
    created = training_request.create(house, call.params, region=call.region, owner=call.caller.principal)
    return {"TrainingJobArn": created}


@quick
def describe_training_job(house: House, call: Call) -> Answered:
    row = row_of(house, call)
    return Derived(row, lambda: told(row.resource(), members_of))


def list_training_jobs(house: House, call: Call) -> Answered:
    params = call.params
    if params.get("WarmPoolStatusEquals") or params.get("TrainingPlanArnEquals"):
        raise Invalid("WarmPoolStatusEquals, TrainingPlanArnEquals: there are no warm pools nor plans. Leave them out.")
    return page(house, call, KIND.name, _summary, into="TrainingJobSummaries")


def stop_training_job(house: House, call: Call) -> Answered:
    row = row_of(house, call)
    try:
        house.jobs.request_stop(row.arn)
    except Conflict as ended:
        raise Invalid(
            f"The request was rejected because the training job is in status {house.jobs.get(row.arn).status}."
        ) from ended
    return {}


def delete_training_job(house: House, call: Call) -> Answered:
    row = row_of(house, call)
    if TrainingStatus(row.status) not in LIFECYCLE.ended:
        raise ServiceRefusal(
            "ResourceInUse", f"The training job {row.name} is {row.status}. Stop it first.", http_status=400
        )
    tuning = (row.resource().document.get("tuning") or {}).get("job") if row.is_sound else None
    parent = None if tuning is None else house.store.resources.row(tuning)
    if parent is not None and parent.status in TUNING.lifecycle.running:
        raise ServiceRefusal(
            "ResourceInUse",
            f"The training job {row.name} belongs to the tuning job {tuning}, which learns from it. Stop that first.",
            http_status=400,
        )
    house.jobs.forget(row.arn)
    return {}


def row_of(house: House, call: Call) -> Row:
    """The row of the training job that a call names. Raises Invalid."""
    row = house.store.resources.row_named(KIND.name, call.region, call.params["TrainingJobName"])
    if row is None:
        raise Invalid(_NOT_FOUND)
    return row


def members_of(job: Resource) -> dict[str, Any]:
    """The members of DescribeTrainingJob's answer."""
    document = job.document
    request = document["request"]
    began, ended = moment(document.get("trainingStartTime")), moment(document.get("trainingEndTime"))
    seconds = math.ceil((ended - began).total_seconds()) if began and ended and ended > began else None
    status = TrainingStatus(job.status)
    changes = transitions.told(document, status, created=job.created, updated=job.updated)
    return {
        **{member: request.get(member) for member in _ECHOED},
        "OutputDataConfig": {"KmsKeyId": "", **request["OutputDataConfig"]},
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TuningJobArn": (document.get("tuning") or {}).get("job"),
        "ModelArtifacts": {"S3ModelArtifacts": artifacts.model_uri(request)},
        "TrainingJobStatus": status,
        "SecondaryStatus": changes[-1]["Status"],
        "FailureReason": (document.get("failureMessage") or "")[:_LONGEST_REASON] or None,
        "CreationTime": job.created,
        "TrainingStartTime": began,
        "TrainingEndTime": ended or (moment(document.get("endTime")) if began else None),
        "LastModifiedTime": job.updated,
        "SecondaryStatusTransitions": changes,
        "FinalMetricDataList": [
            {**each, "Timestamp": datetime.fromisoformat(each["Timestamp"])}
            for each in document.get("finalMetrics", {}).values()
        ],
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
    }


def _summary(job: Resource) -> dict[str, Any]:
    changes = transitions.told(job.document, TrainingStatus(job.status), created=job.created, updated=job.updated)
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingEndTime": moment(job.document.get("endTime")),
        "LastModifiedTime": job.updated,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": changes[-1]["Status"],
    }


OPERATIONS: dict[str, Handler] = {
    "CreateTrainingJob": create_training_job,
    "DescribeTrainingJob": describe_training_job,
    "ListTrainingJobs": list_training_jobs,
    "StopTrainingJob": stop_training_job,
    "DeleteTrainingJob": delete_training_job,
}
