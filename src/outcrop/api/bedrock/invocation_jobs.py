"""Batch inference jobs: create, get, list, stop."""

from typing import Any

from outcrop.api.bedrock import model_keys
from outcrop.api.bedrock.listing import moment, page, summaries, told
from outcrop.api.bedrock.named import look, row_of
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.batch import create_job
from outcrop.batch.kind import KIND
from outcrop.house import House
from outcrop.invocation.background.models import seal_of
from outcrop.store.resources import Resource

_NOUN = "model invocation job"
_ECHOED = (
    "clientRequestToken",
    "roleArn",
    "inputDataConfig",
    "outputDataConfig",
    "timeoutDurationInHours",
    "modelInvocationType",
    "totalRecordCount",
    "processedRecordCount",
    "successRecordCount",
    "errorRecordCount",
)


def create_model_invocation_job(house: House, call: Call) -> Answered:
    row = look(house, call, "modelId")
    model_keys.demand(house, call, None if row is None else seal_of(house, row.arn))
    created = create_job.create(
        house,
        call.params,
        thing=house.access.named(call, "modelId"),
        row=row,
        region=call.region,
        account=house.account,
        owner=call.caller.principal,
    )
    return {"jobArn": created}


@quick
def get_model_invocation_job(house: House, call: Call) -> Answered:
    row = row_of(house, call, "jobIdentifier", _NOUN)
    return Derived(row, lambda: told(row.resource(), _job))


def list_model_invocation_jobs(house: House, call: Call) -> Answered:
    found = page(house, call, KIND.name, after="submitTimeAfter", before="submitTimeBefore")
    return {"invocationJobSummaries": summaries(found, _job), "nextToken": found.next_token}


def stop_model_invocation_job(house: House, call: Call) -> Answered:
    house.jobs.request_stop(row_of(house, call, "jobIdentifier", _NOUN).arn)
    return {}


def _job(job: Resource) -> dict[str, Any]:
    """The members of an answer, and of an entry in a listing: they are the same."""
    document = job.document
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "modelId": document["modelArn"],
        "status": job.status,
        "message": document.get("failureMessage"),
        "submitTime": job.created,
        "lastModifiedTime": job.updated,
        "endTime": moment(document.get("endTime")),
        "jobExpirationTime": moment(document["jobExpirationTime"]),
        **{member: document[member] for member in _ECHOED if member in document},
    }


OPERATIONS: dict[str, Handler] = {
    "CreateModelInvocationJob": create_model_invocation_job,
    "GetModelInvocationJob": get_model_invocation_job,
    "ListModelInvocationJobs": list_model_invocation_jobs,
    "StopModelInvocationJob": stop_model_invocation_job,
}
