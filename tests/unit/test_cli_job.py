"""`outcrop jobs`: a job whose model is worse than its base does not end with 0."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.cli.batch_jobs import find_batch_job, print_batch_job
from outcrop.cli.job import print_job
from outcrop.cli.tables import print_jobs

BATCH = {
    "jobArn": "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl",
    "jobName": "many",
    "status": "InProgress",
    "modelId": "arn:aws:bedrock:us-east-1::foundation-model/local.tiny-v1",
    "submitTime": datetime(2026, 11, 29, tzinfo=UTC),
    "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://data/in/"}},
    "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://data/out/"}},
    "totalRecordCount": 1000,
    "processedRecordCount": 120,
    "errorRecordCount": 3,
}
WORSE = "The job completed, but its custom model is worse than the base model."


def job(status: str = "Completed", **more: Any) -> dict[str, Any]:
    return {
        "jobArn": "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/local.tiny-v1:0:1k/abcdefghijkl",
        "jobName": "mine",
        "status": status,
        "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/local.tiny-v1:0:1k",
        "outputModelName": "model",
        "hyperParameters": {"learningRate": "recommended", "outcrop.learningRate": "0.0015"},
        "validationMetrics": [{"validationLoss": 5.2}],
        "creationTime": datetime(2026, 11, 28, tzinfo=UTC),
        **more,
    }


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        (job(), 0, "validation loss       5.2000"),
        (job(), 0, "outcrop.learningRate  0.0015"),
        (job(failureMessage=WORSE), 1, f"message               {WORSE}"),
        (job(failureMessage=WORSE), 1, "status                Completed (worse than its base)"),
        (job("Failed", failureMessage="No."), 1, "message               No."),
        (job("InProgress", validationMetrics=[]), 0, "status                InProgress"),
        (job(validationMetrics=[]), 0, "note                  without validation data nothing tells"),
    ],
)
def test_one_job_is_told_with_what_came_of_it(
    told: dict[str, Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_job(told, as_json=False) == code
    assert said in capsys.readouterr().out


class Bedrock:
    """The API with one job."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def get_paginator(self, operation: str) -> "Bedrock":
        self._operation = operation
        return self

    def paginate(self, **_asked: str) -> list[dict[str, Any]]:
        if self._operation == "list_model_invocation_jobs":
            return [{"invocationJobSummaries": [BATCH]}]
        return [{"modelCustomizationJobSummaries": [{**self._told, "customModelName": "model"}]}]

    class exceptions:  # noqa: N801 (as boto3's clients have it)
        ValidationException = ValueError

    def get_model_customization_job(self, *, jobIdentifier: str) -> dict[str, Any]:
        assert jobIdentifier == self._told["jobArn"]
        return self._told


@pytest.mark.parametrize(
    ("told", "marked"),
    [(job(failureMessage=WORSE), True), (job(), False), (job("Failed", failureMessage="No."), False)],
)
def test_the_list_marks_a_model_worse_than_its_base(
    told: dict[str, Any], marked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_jobs({"us-east-1": Bedrock(told)}, as_json=True) == 0
    assert ("worse than its base" in capsys.readouterr().out) == marked


def test_batch_jobs_are_listed_beside_those_of_customization(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_jobs({"us-east-1": Bedrock(job())}, as_json=True) == 0
    newest, older = json.loads(capsys.readouterr().out)
    assert (newest["job"], older["job"]) == ("many", "mine")
    assert (newest["status"], newest["note"]) == ("InProgress", "batch: 120 of 1,000 records, 3 errors")


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({}, 0, "done                  120 of 1,000 records, 3 errors"),
        ({}, 0, "output                s3://data/out/abcdefghijkl/"),
        ({"totalRecordCount": None}, 0, "done                  records not counted yet"),
        ({"status": "Failed", "message": "No."}, 1, "message               No."),
    ],
)
def test_one_batch_job_is_told_with_how_far_it_is(
    change: dict[str, Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find_batch_job({"us-east-1": Bedrock(job())}, "many")
    assert found is not None
    assert print_batch_job({**found, **change}, as_json=False) == code
    assert said in capsys.readouterr().out
