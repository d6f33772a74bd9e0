"""Model customization jobs: create, get, list, stop."""

from typing import Any

from outcrop.api.bedrock import model_keys
from outcrop.api.bedrock.listing import (
    moment,
    page,
    summaries,
    told,
)
from outcrop.api.bedrock.named import look, row_of
from outcrop.api.door.call import (
    Answered,
    Call,
    Derived,
    Handler,
    quick,
)
from outcrop.customization import create_job, stop_job
from outcrop.customization.choices import hyperparameters
from outcrop.customization.kind import KIND
from outcrop.customization.states import JobStatus, Phase
from outcrop.house import House
from outcrop.keys.sealed_records import key_arn_of
from outcrop.store.resources import Resource

_NOUN = "model customization job"
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
    "outputModelName",
)


def create_model_customization_job(house: House, call: Call) -> Answered:
    created = create_job.create(
        house,
        call.params,
        base=house.access.named(call, "baseModelIdentifier").foundation,
        parent=look(house, call, "baseModelIdentifier"),
        region=call.region,
        account=house.account,
        owner=call.caller.principal,
        authorize_key=model_keys.authorizing(house, call),
    )
    return {"jobArn": created}


@quick
def get_model_customization_job(house: House, call: Call) -> Answered:
    row = row_of(house, call, "jobIdentifier", _NOUN)
    return Derived(row, lambda: told(row.resource(), _job))


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
        "outputModelKmsKeyArn": key_arn_of(document),
        "hyperParameters": hyperparameters.shown(document),
        **{member: document[member] for member in _ECHOED if member in document},
    }


def list_model_customization_jobs(house: House, call: Call) -> Answered:
    found = page(house, call, KIND.name)
    return {"modelCustomizationJobSummaries": summaries(found, _summary), "nextToken": found.next_token}


def stop_model_customization_job(house: House, call: Call) -> Answered:
    job = row_of(house, call, "jobIdentifier", _NOUN)
    stop_job.stop(house, job.arn)
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
        phase.value: {
            "status": details["status"],
            "creationTime": moment(details.get("creationTime")),
            "lastModifiedTime": moment(details.get("lastModifiedTime")),
        }
        for phase in Phase
        for details in [document["statusDetails"][phase]]
    }


OPERATIONS: dict[str, Handler] = {
    "CreateModelCustomizationJob": create_model_customization_job,
    "GetModelCustomizationJob": get_model_customization_job,
    "ListModelCustomizationJobs": list_model_customization_jobs,
    "StopModelCustomizationJob": stop_model_customization_job,
}
