"""Executions of pipelines on record: started, found, renamed, stopped, and retried from the step that failed."""

from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.errors import Conflict, Invalid
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.pipelines import definition as definitions
from outcrop.sagemaker.pipelines.kind import KIND
from outcrop.sagemaker.pipelines.parameters import values_of
from outcrop.sagemaker.pipelines.pipelines import OF_EXECUTION, not_found
from outcrop.sagemaker.pipelines.states import ExecutionStatus, StepStatus
from outcrop.sagemaker.training_request import SERVICE
from outcrop.store.changing import Change, change
from outcrop.store.resources import Resource, Row

_UNBUILT = {
    "SelectiveExecutionConfig": "an execution runs all of its steps. RetryPipelineExecution runs the failed ones again",
    "PipelineVersionId": "the newest definition is kept alone. UpdatePipeline with the older one",
    "MlflowExperimentName": "there is no MLflow server",
}


def start(
    house: HostingRooms, pipeline: Resource, params: Mapping[str, Any], *, owner: str, by: Mapping[str, str]
) -> str:
    """Write the row of a new execution, and return its ARN; a worker takes it from there. Raises Refusal."""
    for member, why in _UNBUILT.items():
        if params.get(member):
            raise Invalid(f"{member}: {why}. Leave it out.")
    house.access.assert_passable(pipeline.document["RoleArn"], SERVICE, source_arn=pipeline.arn)
    definition = definitions.read(pipeline.document["definition"])
    values = values_of(definition.parameters, params.get("PipelineParameters") or [])
    execution_id = arns.new_id()
    execution_arn = f"{pipeline.arn}/execution/{execution_id}"
    parallel = params.get("ParallelismConfiguration") or pipeline.document.get("ParallelismConfiguration")
    house.jobs.add(
        KIND,
        job_arn=execution_arn,
        name=execution_id,
        region=pipeline.region,
        owner=owner,
        document={
            OF_EXECUTION: pipeline.arn,
            "pipelineName": pipeline.name,
            "definition": pipeline.document["definition"],
            "definitionTime": pipeline.updated.isoformat(),
            "roleArn": pipeline.document["RoleArn"],
            "parameters": values,
            "displayName": params.get("PipelineExecutionDisplayName"),
            "description": params.get("PipelineExecutionDescription"),
            "parallelism": parallel,
            "createdBy": dict(by),
            "modifiedBy": dict(by),
            "steps": {},
        },
    )
    return execution_arn


def row_of(house: HostingRooms, region: str, execution_arn: str) -> Row:
    """The row of the execution with this ARN. Raises ServiceRefusal."""
    row = house.store.resources.row(execution_arn)
    if row is None or row.kind != KIND.name or row.region != region:
        raise not_found("Pipeline execution", execution_arn)
    return row


def stop(house: HostingRooms, execution_arn: str) -> None:
    """Stop an execution and what its steps have created. Raises Conflict for one that has ended."""
    try:
        house.jobs.request_stop(execution_arn)
    except Conflict as ended:
        status = house.jobs.get(execution_arn).status
        raise Conflict(
            f"Pipeline execution with ARN {execution_arn} is in status '{status}'. Only executions with status "
            "'Executing' can be stopped."
        ) from ended


def retry(house: HostingRooms, execution_arn: str, params: Mapping[str, Any], *, by: Mapping[str, str]) -> None:
    """Let an execution that failed or was stopped go on: steps that succeeded stay as they are. Raises Conflict."""

    def renewed(row: Resource) -> dict[str, Any]:
        if row.status not in (ExecutionStatus.FAILED, ExecutionStatus.STOPPED):
            raise Conflict(
                f"Pipeline execution with ARN {execution_arn} is in status '{row.status}'. Only executions with status "
                "'Failed' or 'Stopped' can be retried."
            )
        steps = row.document["steps"]
        attempts = {name: step["attempt"] for name, step in steps.items()}
        document = {
            **row.document,
            "modifiedBy": dict(by),
            "attempts": {**row.document.get("attempts", {}), **attempts},
        }
        document["steps"] = {name: each for name, each in steps.items() if each["status"] == StepStatus.SUCCEEDED}
        if "ParallelismConfiguration" in params:
            document["parallelism"] = params["ParallelismConfiguration"]
        return document

    house.access.assert_passable(house.jobs.get(execution_arn).document["roleArn"], SERVICE, source_arn=execution_arn)
    try:
        house.jobs.begin_again(execution_arn, renewed)
    except Conflict as running:
        raise Conflict(f"{running.message.rstrip('.')}. It cannot be retried now.") from running


def update(house: HostingRooms, execution_arn: str, params: Mapping[str, Any], *, by: Mapping[str, str]) -> None:
    """Give an execution another name, description or number of parallel steps."""
    members = {
        "displayName": "PipelineExecutionDisplayName",
        "description": "PipelineExecutionDescription",
        "parallelism": "ParallelismConfiguration",
    }
    changed = {kept: params[member] for kept, member in members.items() if member in params}
    change(
        house.store.resources,
        execution_arn,
        at=house.clock.now(),
        decide=lambda row: Change(document={**row.document, **changed, "modifiedBy": dict(by)}),
    )
