"""Hyperparameter tuning jobs: create, describe, list, stop, delete; and the training jobs of one."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.api.bedrock.listing import moment, told
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.api.sagemaker.listing import page
from outcrop.errors import Conflict, Invalid, ServiceRefusal
from outcrop.house import House
from outcrop.sagemaker.tuning import children, outcome, plan, request
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.sagemaker.tuning.kind import KIND
from outcrop.sagemaker.tuning.plan import IDENTICAL
from outcrop.sagemaker.tuning.ranges import OBJECTIVE
from outcrop.sagemaker.tuning.states import LIFECYCLE, TuningStatus
from outcrop.store.resources import Resource, Row

_DEFAULT_RESULTS = 10
_LONGEST_REASON = 1024
_NONE_YET = outcome.told([])
"Of a tuning job that has created nothing."


def create_tuning_job(house: House, call: Call) -> Answered:
    created = request.create(house, call.params, region=call.region, owner=call.caller.principal)
    return {"HyperParameterTuningJobArn": created}


@quick
def describe_tuning_job(house: House, call: Call) -> Answered:
    row = _row(house, call)
    return Derived(row, lambda: told(row.resource(), members_of))


def list_tuning_jobs(house: House, call: Call) -> Answered:
    return page(
        house,
        call,
        KIND.name,
        _summary,
        into="HyperParameterTuningJobSummaries",
        sort_by="Name",
        sort_order="Ascending",
    )


def list_training_jobs_of(house: House, call: Call) -> Answered:
    params = call.params
    sort_by, ascending = params.get("SortBy", "Name"), params.get("SortOrder", "Ascending") == "Ascending"
    status = params.get("StatusEquals")
    entries = sorted(
        (
            (key, child.record.arn, child)
            for child in _children(house, _row(house, call).arn)
            if status in (None, child.record.status) and (key := _key(child, sort_by)) is not None
        ),
        key=lambda entry: entry[:2],
        reverse=not ascending,
    )
    place = page_tokens.read(call)
    if place is not None:
        last = tuple(json.loads(place))
        entries = [entry for entry in entries if (entry[:2] > last if ascending else entry[:2] < last)]
    most = params.get("MaxResults", _DEFAULT_RESULTS)
    shown = entries[:most]
    return {
        "TrainingJobSummaries": [children.with_moments(child.summary()) for _, _, child in shown],
        "NextToken": page_tokens.write(call, json.dumps(shown[-1][:2])) if len(entries) > most else None,
    }


def stop_tuning_job(house: House, call: Call) -> Answered:
    row = _row(house, call)
    try:
        house.jobs.request_stop(row.arn)
    except Conflict as ended:
        raise Invalid(
            f"The request was rejected because the tuning job is in status {house.jobs.get(row.arn).status}."
        ) from ended
    return {}


def delete_tuning_job(house: House, call: Call) -> Answered:
    row = _row(house, call)
    if TuningStatus(row.status) not in LIFECYCLE.ended:
        raise ServiceRefusal(
            "ResourceInUse", f"The tuning job {row.name} is {row.status}. Stop it first.", http_status=400
        )
    house.jobs.forget(row.arn)
    return {}


def members_of(job: Resource) -> dict[str, Any]:
    """The members of DescribeHyperParameterTuningJob's answer."""
    document = job.document
    known, ended = document.get("outcome") or _NONE_YET, moment(document.get("endTime"))
    began = moment(document.get("beganTime"))
    seconds = math.ceil((ended - began).total_seconds()) if began and ended and ended > began else None
    return {
        "HyperParameterTuningJobConfig": {
            "TrainingJobEarlyStoppingType": "Off",
            **document["request"]["HyperParameterTuningJobConfig"],
        },
        "WarmStartConfig": document["request"].get("WarmStartConfig"),
        **_definitions(document["request"]),
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.status,
        "CreationTime": job.created,
        "HyperParameterTuningEndTime": ended,
        "LastModifiedTime": job.updated,
        "TrainingJobStatusCounters": known["trainingJobs"],
        "ObjectiveStatusCounters": known["objectives"],
        "BestTrainingJob": known["best"] and children.with_moments(known["best"]),
        "OverallBestTrainingJob": _overall_best(document),
        "FailureReason": (document.get("failureMessage") or "")[:_LONGEST_REASON] or None,
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": known["notImproving"]},
        "ConsumedResources": None if seconds is None else {"RuntimeInSeconds": seconds},
    }


def _definitions(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions of a request, each with the hyperparameter that tells its objective, and its ResourceConfig.

    SDK 2.x, which sends neither, reads both when it attaches to a tuning job, and fails where they are not there.
    """
    told = {member: asked[member] for member in ("TrainingJobDefinition", "TrainingJobDefinitions") if member in asked}
    return {
        member: [_definition(asked, each) for each in given] if isinstance(given, list) else _definition(asked, given)
        for member, given in told.items()
    }


def _definition(asked: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    objective = plan.objective_of(asked, given)
    return {
        **given,
        "StaticHyperParameters": {**(given.get("StaticHyperParameters") or {}), OBJECTIVE: objective.metric},
        "ResourceConfig": children.resources_of(given),
    }


def _overall_best(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The best training job, with those of the tuning jobs whose objectives can be compared."""
    asked = document["request"]
    if (asked.get("WarmStartConfig") or {}).get("WarmStartType") != IDENTICAL:
        return None
    best = outcome.overall_best(document, plan.objective_of(asked, asked["TrainingJobDefinition"]))
    return None if best is None else children.with_moments(best)


def _summary(job: Resource) -> dict[str, Any]:
    document, config = job.document, job.document["request"]["HyperParameterTuningJobConfig"]
    known = document.get("outcome") or _NONE_YET
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.status,
        "Strategy": config["Strategy"],
        "CreationTime": job.created,
        "HyperParameterTuningEndTime": moment(document.get("endTime")),
        "LastModifiedTime": job.updated,
        "TrainingJobStatusCounters": known["trainingJobs"],
        "ObjectiveStatusCounters": known["objectives"],
        "ResourceLimits": config["ResourceLimits"],
    }


def _children(house: House, job_arn: str) -> Sequence[TunedJob]:
    found = [TunedJob.of(record) for record in house.jobs.children(job_arn)]
    return [each for each in found if each is not None]


def _key(child: TunedJob, sort_by: str) -> str | float | None:
    """The key that orders a listing; None for a training job that is not in it."""
    match sort_by:
        case "FinalObjectiveMetricValue":
            return child.value
        case "CreationTime":
            return child.record.created.timestamp()
        case "Status":
            return child.record.status
    return str(child.record.name)


def _row(house: House, call: Call) -> Row:
    row = house.store.resources.row_named(KIND.name, call.region, call.params["HyperParameterTuningJobName"])
    if row is None:
        raise Invalid("Requested resource not found.")
    return row


OPERATIONS: dict[str, Handler] = {
    "CreateHyperParameterTuningJob": create_tuning_job,
    "DescribeHyperParameterTuningJob": describe_tuning_job,
    "ListHyperParameterTuningJobs": list_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": list_training_jobs_of,
    "StopHyperParameterTuningJob": stop_tuning_job,
    "DeleteHyperParameterTuningJob": delete_tuning_job,
}
