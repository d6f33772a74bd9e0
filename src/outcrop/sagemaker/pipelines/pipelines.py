"""Pipelines on record: a definition and the role that its steps are created under. Nothing runs by them alone."""

from collections.abc import Mapping
from typing import Any

from outcrop.arn import is_arn
from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Conflict, Invalid, ServiceRefusal
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.pipelines import definition as definitions
from outcrop.sagemaker.pipelines.definition import PipelineDefinition, PipelineStep
from outcrop.sagemaker.pipelines.kind import KIND as EXECUTION
from outcrop.sagemaker.pipelines.references import PARAMETERS, Reference, resolve
from outcrop.sagemaker.pipelines.resource_steps import RESOURCE_STEPS
from outcrop.sagemaker.training_request import SERVICE
from outcrop.store.changing import Change, change
from outcrop.store.resources import Resource, Row
from outcrop.store.tags import check_number, tags_of

KIND = "pipeline"
ACTIVE = "Active"
OF_EXECUTION = "pipeline"
"The member of an execution's document with the ARN of its pipeline."
_KEPT = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
_SOURCES = ("PipelineDefinition", "PipelineDefinitionS3Location")


class NotYetKnown(Exception):
    """A reference of a step whose value is not known before the execution."""


def arn_of(house: HostingRooms, region: str, name: str) -> str:
    return sagemaker_arn(region, house.account, f"{KIND}/{name.lower()}")


def not_found(what: str, arn: str) -> ServiceRefusal:
    """SageMaker's refusal of a pipeline or an execution that is not there."""
    return ServiceRefusal("ResourceNotFound", f"{what} '{arn}' does not exist.", http_status=400)


def row_of(house: HostingRooms, region: str, name_or_arn: str) -> Row:
    """The row of the pipeline with this name or ARN. Raises ServiceRefusal."""
    resources = house.store.resources
    row = resources.row(name_or_arn) if is_arn(name_or_arn) else resources.row_named(KIND, region, name_or_arn)
    if row is None or row.kind != KIND or row.region != region:
        raise not_found("Pipeline", name_or_arn if is_arn(name_or_arn) else arn_of(house, region, name_or_arn))
    return row


def prepared(
    house: HostingRooms,
    params: Mapping[str, Any],
    *,
    region: str,
    by: Mapping[str, str],
    before: Resource | None = None,
) -> dict[str, Any]:
    """The document of a pipeline as a request makes or changes it, checked whole. Raises Refusal.

    `by` tells who asks. It reads S3 where the definition lies there, and so belongs before any transaction.
    """
    kept = {} if before is None else before.document
    document = {**kept, **{member: params[member] for member in _KEPT if member in params}}
    document |= {"modifiedBy": dict(by), **({} if before else {"createdBy": dict(by)})}
    pipeline_arn = arn_of(house, region, params["PipelineName"])
    role = document["RoleArn"]
    data = house.data.under(role, source_arn=pipeline_arn, service=SERVICE)
    given = [member for member in _SOURCES if params.get(member)]
    if len(given) > 1 or not (given or before):
        raise Invalid(f"{' and '.join(_SOURCES)}: give one of both.")
    if given:
        text = params.get("PipelineDefinition")
        if text is None:
            place = params["PipelineDefinitionS3Location"]
            if "VersionId" in place:
                raise Invalid("PipelineDefinitionS3Location.VersionId: the newest version is read. Leave it out.")
            text = data.read(f"s3://{place['Bucket']}/{place['ObjectKey']}").decode("utf-8", "replace")
        document["definition"] = text
    check_steps(definitions.read(document["definition"]))
    return document


def create(house: HostingRooms, params: Mapping[str, Any], document: dict[str, Any], *, region: str) -> str:
    """Write a new pipeline's row, and return its ARN. Raises Refusal."""
    name, now = params["PipelineName"], house.clock.now()
    house.store.references.index(
        EXECUTION.name, OF_EXECUTION
    )  # executions are listed by it, and there were none before
    pipeline_arn = arn_of(house, region, name)
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(pipeline_arn, tags)
    row = Resource(
        arn=pipeline_arn,
        kind=KIND,
        region=region,
        name=name,
        status=ACTIVE,
        created=now,
        updated=now,
        document=document,
    )
    with house.store.transaction():
        try:
            house.store.resources.add(row)
        except Conflict as taken:  # by its name, or by one in other letters; the SDKs look for these words
            raise Invalid(
                "Pipeline names must be unique within an AWS account and region. Pipeline with name "
                f"({name}) already exists."
            ) from taken
        house.store.tags.put(pipeline_arn, tags)
    return pipeline_arn


def update(house: HostingRooms, pipeline_arn: str, document: dict[str, Any]) -> None:
    """Give a pipeline another document; executions that run go on with the one they began with."""
    change(
        house.store.resources,
        pipeline_arn,
        at=house.clock.now(),
        decide=lambda _row: Change(document=document),
    )


def remove(house: HostingRooms, pipeline_arn: str) -> None:
    """Remove a pipeline and its executions, which have all ended; what they created stays. Raises Conflict."""
    with house.store.transaction():
        executions = house.store.references.naming(EXECUTION.name, (OF_EXECUTION,), pipeline_arn)
        running = [each for each in executions if each.status in EXECUTION.lifecycle.running]
        if running:
            raise Conflict(f"Pipeline '{pipeline_arn}' has a running execution: {running[0].arn}. Stop it first.")
        for each in executions:
            house.jobs.forget(each.arn)
        house.store.resources.remove(pipeline_arn)
        house.store.tags.clear(pipeline_arn)


def check_steps(definition: PipelineDefinition) -> None:
    """Check the requests of those steps whose arguments are known without the execution. Raises Invalid."""
    for step in definition.steps.values():
        kind = RESOURCE_STEPS.get(step.type)
        if kind is None or step.refers_to_steps:
            continue
        try:
            arguments = resolve(step.arguments, lambda reference: _beforehand(reference, definition))
        except NotYetKnown:
            continue
        try:
            kind.request(arguments, "name")
        except Invalid as wrong:
            raise _of_step(step, wrong) from wrong


def _of_step(step: PipelineStep, wrong: Invalid) -> Invalid:
    return Invalid(f"PipelineDefinition: Steps.{step.name}: {wrong.message}")


def _beforehand(reference: Reference, definition: PipelineDefinition) -> Any:
    """The value that a reference has as long as nobody says otherwise. Raises NotYetKnown."""
    if reference.of != PARAMETERS:
        return "2026-01-01"  # of any length and form: it is checked again when the step begins
    value = definition.parameters[reference.name].default
    if value is None:
        raise NotYetKnown
    return value
