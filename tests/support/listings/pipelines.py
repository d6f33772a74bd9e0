"""List operations of SageMaker's pipelines and their executions."""

import json
from datetime import timedelta

from outcrop.sagemaker.pipelines.kind import KIND
from outcrop.store.resources import Resource
from tests.support.listings.listing import Listing
from tests.support.listings.sagemaker import START, minute_of
from tests.support.servers import Running

BY = {"Arn": "arn:aws:iam::123456789012:user/somebody", "PrincipalId": "AIDA"}
NAMES = [f"Step{number}" for number in range(10)]
DEFINITION = json.dumps(
    {
        "Version": "2020-12-01",
        "Parameters": [{"Name": f"P{number}", "Type": "Integer", "DefaultValue": number} for number in range(5)],
        "Steps": [{"Name": name, "Type": "Training", "Arguments": {}} for name in NAMES],
    }
)
PARENT, SAMPLE = "row-100", "sample000000"


def pipeline_place(house: Running, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{house.platform.account}:pipeline/{name}"


def execution_place(house: Running, name: str) -> str:
    return f"{pipeline_place(house, PARENT)}/execution/{name}"


def add_pipeline(house: Running, number: int) -> str:
    at, name = START + timedelta(minutes=number), f"row-{number}"
    document = {
        "definition": DEFINITION,
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "createdBy": BY,
        "modifiedBy": BY,
    }
    row = Resource(
        arn=pipeline_place(house, name),
        kind="pipeline",
        region="us-east-1",
        name=name,
        status="Active",
        created=at,
        updated=at,
        document=document,
    )
    house.platform.store.resources.add(row)
    return name


def remove_pipeline(house: Running, name: str) -> None:
    house.platform.store.resources.remove(pipeline_place(house, name))


def make_parent(house: Running) -> None:
    if house.platform.store.resources.get(pipeline_place(house, PARENT)) is None:
        add_pipeline(house, 100)


def execution(house: Running, name: str, minutes: int, steps: int = 0) -> Resource:
    at = START + timedelta(minutes=minutes)
    entry = {"status": "Succeeded", "startTime": at.isoformat(), "endTime": at.isoformat(), "attempt": 1}
    return Resource(
        arn=execution_place(house, name),
        kind=KIND.name,
        region="us-east-1",
        name=name,
        status="Succeeded",
        created=at,
        updated=at,
        document={
            "pipeline": pipeline_place(house, PARENT), "pipelineName": PARENT, "definition": DEFINITION,
            "definitionTime": at.isoformat(), "roleArn": "arn:aws:iam::123456789012:role/r",
            "parameters": {f"P{number}": number for number in range(5)}, "createdBy": BY, "modifiedBy": BY,
            "steps": {step: {**entry, "order": order} for order, step in enumerate(NAMES[:steps])},
        },
    )  # fmt: skip


def add_execution(house: Running, number: int) -> str:
    name = f"execution{number:03d}"
    house.platform.store.resources.add(execution(house, name, number))
    return name


def remove_execution(house: Running, name: str) -> None:
    house.platform.store.resources.remove(execution_place(house, name))


def make_sample(house: Running) -> None:
    """An execution with steps and parameters, outside of the listing of executions."""
    make_parent(house)
    if house.platform.store.resources.get(execution_place(house, SAMPLE)) is None:
        sample = execution(house, SAMPLE, 200, steps=5)
        sample.document["pipeline"] = pipeline_place(house, "another")
        house.platform.store.resources.add(sample)


def asks_sample(house: Running) -> dict[str, str]:
    return {"PipelineExecutionArn": execution_place(house, SAMPLE)}


LISTINGS = [
    Listing(
        service="sagemaker",
        operation="ListPipelines",
        rows=lambda answer: answer["PipelineSummaries"],
        name_of=lambda row: row["PipelineName"],
        add=add_pipeline,
        remove=remove_pipeline,
        filters={
            "PipelineNamePrefix": ("row-2", lambda row: row["PipelineName"].startswith("row-2")),
            "CreatedAfter": (
                START + timedelta(minutes=1),
                lambda row: minute_of(row, "CreationTime") > START + timedelta(minutes=1),
            ),
            "CreatedBefore": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "CreationTime") < START + timedelta(minutes=2),
            ),
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListPipelineExecutions",
        rows=lambda answer: answer["PipelineExecutionSummaries"],
        name_of=lambda row: row["PipelineExecutionArn"].rpartition("/")[2],
        prepare=make_parent,
        add=add_execution,
        remove=remove_execution,
        asked=lambda _house: {"PipelineName": PARENT},
        filters={
            "CreatedAfter": (
                START + timedelta(minutes=1),
                lambda row: minute_of(row, "StartTime") > START + timedelta(minutes=1),
            ),
            "CreatedBefore": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "StartTime") < START + timedelta(minutes=2),
            ),
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListPipelineExecutionSteps",
        rows=lambda answer: answer["PipelineExecutionSteps"],
        name_of=lambda row: row["StepName"],
        prepare=make_sample,
        asked=asks_sample,
        not_filters=frozenset({"SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListPipelineParametersForExecution",
        rows=lambda answer: answer["PipelineParameters"],
        name_of=lambda row: row["Name"],
        prepare=make_sample,
        asked=asks_sample,
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
]
