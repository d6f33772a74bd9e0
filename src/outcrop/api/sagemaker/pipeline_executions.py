"""Executions of pipelines: start, describe, list, stop, retry; their steps, parameters and definitions."""

from typing import Any

from outcrop.api.bedrock.listing import moment, summaries, told
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.api.sagemaker.pipelines import TOKEN, by
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.pipelines import definition as definitions
from outcrop.sagemaker.pipelines import executions, pipelines
from outcrop.sagemaker.pipelines.kind import KIND
from outcrop.sagemaker.pipelines.pipelines import OF_EXECUTION
from outcrop.sagemaker.pipelines.references import PARAMETERS, Reference, resolve
from outcrop.sagemaker.pipelines.resource_steps import RESOURCE_STEPS
from outcrop.sagemaker.pipelines.run import variables
from outcrop.sagemaker.pipelines.states import LIFECYCLE, ExecutionStatus, StepStatus, StepType
from outcrop.store.listing import Filters, SortKey
from outcrop.store.resources import Resource, Row

_DEFAULT_RESULTS = 10
_LONGEST_REASON = 1300
_SORTED_BY: dict[str, SortKey] = {"CreationTime": "created", "PipelineExecutionArn": "name"}
_RUNNING = (StepStatus.STARTING, StepStatus.EXECUTING)


def start_execution(house: House, call: Call) -> Answered:
    def start() -> dict[str, Any]:
        pipeline = pipelines.row_of(house, call.region, call.params["PipelineName"]).resource()
        started = executions.start(house, pipeline, call.params, owner=call.caller.principal, by=by(call))
        return {"PipelineExecutionArn": started}

    return house.store.idempotency.once(call.token_scope, call.params[TOKEN], call.params, start, member=TOKEN)


@quick
def describe_execution(house: House, call: Call) -> Answered:
    row = _row(house, call)
    return Derived(row, lambda: told(row.resource(), _execution))


def describe_definition(house: House, call: Call) -> Answered:
    document = _row(house, call).resource().document
    return {"PipelineDefinition": document["definition"], "CreationTime": moment(document["definitionTime"])}


def list_executions(house: House, call: Call) -> Answered:
    params = call.params
    pipeline = pipelines.row_of(house, call.region, params["PipelineName"])
    found = house.store.resources.list(
        KIND.name,
        call.region,
        filters=Filters(
            created_after=params.get("CreatedAfter"),
            created_before=params.get("CreatedBefore"),
            equals={OF_EXECUTION: pipeline.arn},
        ),
        sort_by=_SORTED_BY[params.get("SortBy", "CreationTime")],
        descending=params.get("SortOrder", "Descending") == "Descending",
        max_results=params.get("MaxResults", _DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    return {
        "PipelineExecutionSummaries": summaries(found, _summary),
        "NextToken": found.next_token and page_tokens.write(call, found.next_token),
    }


def list_steps(house: House, call: Call) -> Answered:
    if "PipelineExecutionArn" not in call.params:
        raise Invalid("PipelineExecutionArn: missing. Name the execution whose steps are asked for.")
    execution = _row(house, call).resource()
    defined = definitions.read(execution.document["definition"]).steps
    ascending = call.params.get("SortOrder", "Descending") == "Ascending"
    steps = sorted(execution.document["steps"].items(), key=lambda each: each[1]["order"], reverse=not ascending)
    place = page_tokens.read(call)
    if place is not None:
        last = int(place)
        steps = [each for each in steps if (each[1]["order"] > last if ascending else each[1]["order"] < last)]
    most = call.params.get("MaxResults", _DEFAULT_RESULTS)
    return {
        "PipelineExecutionSteps": [_step(execution, defined[name], entry) for name, entry in steps[:most]],
        "NextToken": page_tokens.write(call, str(steps[most - 1][1]["order"])) if len(steps) > most else None,
    }


def list_parameters(house: House, call: Call) -> Answered:
    values = sorted(_row(house, call).resource().document["parameters"].items())
    place = page_tokens.read(call)
    if place is not None:
        values = [each for each in values if each[0] > place]
    most = call.params.get("MaxResults", _DEFAULT_RESULTS)
    return {
        "PipelineParameters": [{"Name": name, "Value": _text(value)} for name, value in values[:most]],
        "NextToken": page_tokens.write(call, values[most - 1][0]) if len(values) > most else None,
    }


def stop_execution(house: House, call: Call) -> Answered:
    def stop() -> dict[str, Any]:
        arn = _row(house, call).arn
        executions.stop(house, arn)
        return {"PipelineExecutionArn": arn}

    return house.store.idempotency.once(call.token_scope, call.params[TOKEN], call.params, stop, member=TOKEN)


def retry_execution(house: House, call: Call) -> Answered:
    def retry() -> dict[str, Any]:
        arn = _row(house, call).arn
        executions.retry(house, arn, call.params, by=by(call))
        return {"PipelineExecutionArn": arn}

    return house.store.idempotency.once(call.token_scope, call.params[TOKEN], call.params, retry, member=TOKEN)


def update_execution(house: House, call: Call) -> Answered:
    arn = _row(house, call).arn
    executions.update(house, arn, call.params, by=by(call))
    return {"PipelineExecutionArn": arn}


def _row(house: House, call: Call) -> Row:
    return executions.row_of(house, call.region, call.params["PipelineExecutionArn"])


def _execution(execution: Resource) -> dict[str, Any]:
    document = execution.document
    return {
        "PipelineArn": document[OF_EXECUTION],
        "PipelineExecutionArn": execution.arn,
        "PipelineExecutionDisplayName": document.get("displayName"),
        "PipelineExecutionStatus": execution.status,
        "PipelineExecutionDescription": document.get("description"),
        "PipelineExperimentConfig": _experiment(execution),
        "FailureReason": _reason(execution),
        "CreationTime": execution.created,
        "LastModifiedTime": execution.updated,
        "CreatedBy": {"IamIdentity": document["createdBy"]},
        "LastModifiedBy": {"IamIdentity": document["modifiedBy"]},
        "ParallelismConfiguration": document.get("parallelism"),
    }


def _summary(execution: Resource) -> dict[str, Any]:
    return {
        "PipelineExecutionArn": execution.arn,
        "StartTime": execution.created,
        "PipelineExecutionStatus": execution.status,
        "PipelineExecutionDescription": execution.document.get("description"),
        "PipelineExecutionDisplayName": execution.document.get("displayName"),
        "PipelineExecutionFailureReason": _reason(execution),
    }


def _reason(execution: Resource) -> str | None:
    return (execution.document.get("failureMessage") or "")[:_LONGEST_REASON] or None


def _experiment(execution: Resource) -> dict[str, Any] | None:
    """The names of experiment and trial, which nothing here keeps a record of."""
    document = execution.document
    given = definitions.read(document["definition"]).experiment
    if not given:
        return None
    about = variables(
        name=document["pipelineName"],
        pipeline=document[OF_EXECUTION],
        execution=execution.arn,
        began=execution.created.isoformat(),
        now=execution.created.isoformat(),
    )

    def value(reference: Reference) -> Any:
        return document["parameters"][reference.name] if reference.of == PARAMETERS else about[reference.name]

    resolved: dict[str, Any] = resolve(given, value)
    return {member: resolved[member] for member in ("ExperimentName", "TrialName") if member in resolved}


def _step(execution: Resource, defined: definitions.PipelineStep, entry: dict[str, Any]) -> dict[str, Any]:
    status: str = entry["status"]
    if status in _RUNNING and execution.status in LIFECYCLE.ended:
        status = StepStatus.STOPPED  # its execution was given up, and with it what ran
    elif status in _RUNNING and execution.status == ExecutionStatus.STOPPING:
        status = ExecutionStatus.STOPPING
    kind = RESOURCE_STEPS.get(defined.type)
    metadata: dict[str, Any] = {}
    if kind is not None and "arn" in entry:
        metadata = {kind.metadata: {"Arn": entry["arn"]}}
    elif defined.type is StepType.CONDITION and "outcome" in entry:
        metadata = {"Condition": {"Outcome": "True" if entry["outcome"] else "False"}}
    elif defined.type is StepType.FAIL:
        metadata = {"Fail": {"ErrorMessage": entry.get("failureReason", "")}}
    return {
        "StepName": defined.name,
        "StepDisplayName": defined.display_name,
        "StepDescription": defined.description,
        "StartTime": moment(entry["startTime"]),
        "EndTime": moment(entry.get("endTime")),
        "StepStatus": status,
        "FailureReason": entry.get("failureReason"),
        "Metadata": metadata,
        "AttemptCount": entry["attempt"],
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


OPERATIONS: dict[str, Handler] = {
    "StartPipelineExecution": start_execution,
    "DescribePipelineExecution": describe_execution,
    "DescribePipelineDefinitionForExecution": describe_definition,
    "ListPipelineExecutions": list_executions,
    "ListPipelineExecutionSteps": list_steps,
    "ListPipelineParametersForExecution": list_parameters,
    "StopPipelineExecution": stop_execution,
    "RetryPipelineExecution": retry_execution,
    "UpdatePipelineExecution": update_execution,
}
