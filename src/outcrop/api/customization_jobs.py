"""Model customization jobs: create, get, list, stop."""

from typing import Any

from outcrop.api.call import Answered, Call, Derived, Handler, quick
from outcrop.api.listing import moment, page
from outcrop.api.platform import Platform
from outcrop.customization import hyperparameters, request
from outcrop.jobs import jobs
from outcrop.jobs.states import JobStatus
from outcrop.store.resources import Resource

_ECHOED = (
    "clientRequestToken",
    "roleArn",
    "failureMessage",
    "baseModelArn",
    "trainingDataConfig",
    "validationDataConfig",
    "outputDataConfig",
    "customizationType",
    "trainingMetrics",
    "validationMetrics",
    "vpcConfig",
    "outputModelName",
)


def create_model_customization_job(platform: Platform, call: Call) -> Answered:
    created = request.create(platform.customization, call.params, region=call.region, account=platform.account)
    return {"jobArn": created}


@quick
def get_model_customization_job(platform: Platform, call: Call) -> Answered:
    row = platform.customization.jobs.row(call.region, call.params["jobIdentifier"])
    return Derived(row, lambda: _job(row.resource()))


def _job(job: Resource) -> dict[str, Any]:
    document = job.document
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "status": job.status,
        "statusDetails": _status_details(document),
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
        "endTime": moment(document.get("endTime")),
        "outputModelArn": _output_model(job),
        "hyperParameters": hyperparameters.shown(document),
        **{member: document[member] for member in _ECHOED if member in document},
    }


def list_model_customization_jobs(platform: Platform, call: Call) -> Answered:
    found = page(platform, call, jobs.KIND)
    return {"modelCustomizationJobSummaries": [_summary(job) for job in found.items], "nextToken": found.next_token}


def stop_model_customization_job(platform: Platform, call: Call) -> Answered:
    platform.customization.jobs.request_stop(call.region, call.params["jobIdentifier"])
    return {}


def _summary(job: Resource) -> dict[str, Any]:
    return {
        "jobArn": job.arn,
        "baseModelArn": job.document["baseModelArn"],
        "jobName": job.name,
        "status": job.status,
        "statusDetails": _status_details(job.document),
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
        "endTime": moment(job.document.get("endTime")),
        "customModelArn": _output_model(job),
        "customModelName": job.document["outputModelName"],
        "customizationType": job.document["customizationType"],
    }


def _output_model(job: Resource) -> str | None:
    return job.document["modelArn"] if job.status == JobStatus.COMPLETED else None


def _status_details(document: dict[str, Any]) -> dict[str, Any]:
    return {
        phase: {
            "status": details["status"],
            "creationTime": moment(details.get("creationTime")),
            "lastModifiedTime": moment(details.get("lastModifiedTime")),
        }
        for phase, details in document["statusDetails"].items()
    }


OPERATIONS: dict[str, Handler] = {
    "CreateModelCustomizationJob": create_model_customization_job,
    "GetModelCustomizationJob": get_model_customization_job,
    "ListModelCustomizationJobs": list_model_customization_jobs,
    "StopModelCustomizationJob": stop_model_customization_job,
}
