"""Evaluation jobs: create, get, list, stop, delete."""

from collections.abc import Mapping
from typing import Any

from outcrop.api.bedrock.listing import page, summaries, told
from outcrop.api.bedrock.named import row_of
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.errors import Conflict, NotFound
from outcrop.evaluation.jobs import create_job, deleting
from outcrop.evaluation.jobs.kind import KIND
from outcrop.evaluation.jobs.request import model_configs, retrieval_configs
from outcrop.evaluation.jobs.states import DELETING
from outcrop.house import House
from outcrop.store.resources import Resource

_NOUN = "evaluation job"
_AUTOMATED = "Automated"
_ECHOED = ("jobDescription", "roleArn", "evaluationConfig", "inferenceConfig", "outputDataConfig")


def create_evaluation_job(house: House, call: Call) -> Answered:
    created = create_job.create(
        house, call.params, region=call.region, account=house.account, owner=call.caller.principal
    )
    return {"jobArn": created}


@quick
def get_evaluation_job(house: House, call: Call) -> Answered:
    row = row_of(house, call, "jobIdentifier", _NOUN)
    return Derived(row, lambda: told(row.resource(), _job))


def list_evaluation_jobs(house: House, call: Call) -> Answered:
    found = page(house, call, KIND.name, equals={"application": call.params.get("applicationTypeEquals")})
    return {"jobSummaries": summaries(found, _summary), "nextToken": found.next_token}


def stop_evaluation_job(house: House, call: Call) -> Answered:
    house.jobs.request_stop(row_of(house, call, "jobIdentifier", _NOUN).arn)
    return {}


def batch_delete_evaluation_job(house: House, call: Call) -> Answered:
    """Delete those that have ended; the others are told with the reason, and stay."""
    deleted: list[dict[str, str]] = []
    errors: list[dict[str, str]] = []
    for identifier in dict.fromkeys(call.params["jobIdentifiers"]):
        try:
            deleting.delete(house, identifier, region=call.region)
        except (NotFound, Conflict) as refused:
            code = "ResourceNotFoundException" if isinstance(refused, NotFound) else "ConflictException"
            errors.append({"jobIdentifier": identifier, "code": code, "message": refused.message})
        else:
            deleted.append({"jobIdentifier": identifier, "jobStatus": DELETING})
    return {"errors": errors, "evaluationJobs": deleted}


def _job(job: Resource) -> dict[str, Any]:
    document = job.document
    failure = document.get("failureMessage")
    messages = document.get("failureMessages") or ([] if failure is None else [failure])
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "status": job.status,
        "jobType": _AUTOMATED,
        "applicationType": document["application"],
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
        "failureMessages": messages or None,
        **{member: document[member] for member in _ECHOED if member in document},
    }


def _summary(job: Resource) -> dict[str, Any]:
    document = job.document
    automated = document["evaluationConfig"]["automated"]
    inference = document["inferenceConfig"]
    models, given = model_configs(inference)
    bases, sources = retrieval_configs(inference)
    custom = automated.get("customMetricConfig") or {}
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "status": job.status,
        "creationTime": job.created,
        "jobType": _AUTOMATED,
        "applicationType": document["application"],
        "evaluationTaskTypes": [each["taskType"] for each in automated["datasetMetricConfigs"]],
        "modelIdentifiers": models or None,
        "ragIdentifiers": bases or None,
        "evaluatorModelIdentifiers": _judges(automated) or None,
        "customMetricsEvaluatorModelIdentifiers": _judges(custom) or None,
        "inferenceConfigSummary": {
            "modelConfigSummary": _given(bedrockModelIdentifiers=models, precomputedInferenceSourceIdentifiers=given),
            "ragConfigSummary": _given(bedrockKnowledgeBaseIdentifiers=bases, precomputedRagSourceIdentifiers=sources),
        },
    }


def _judges(config: Mapping[str, Any]) -> list[str]:
    models = (config.get("evaluatorModelConfig") or {}).get("bedrockEvaluatorModels") or ()
    return [each["modelIdentifier"] for each in models]


def _given(**members: list[str]) -> dict[str, list[str]] | None:
    """The members that are not empty; None where all are."""
    return {name: values for name, values in members.items() if values} or None


OPERATIONS: dict[str, Handler] = {
    "CreateEvaluationJob": create_evaluation_job,
    "GetEvaluationJob": get_evaluation_job,
    "ListEvaluationJobs": list_evaluation_jobs,
    "StopEvaluationJob": stop_evaluation_job,
    "BatchDeleteEvaluationJob": batch_delete_evaluation_job,
}
