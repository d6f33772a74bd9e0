"""`outcrop jobs`: a job whose model is worse than its base does not end with 0."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.cli.batch_jobs import find_batch_job, print_batch_job
from outcrop.cli.evaluation_jobs import find_evaluation_job, print_evaluation_job
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
EVALUATION = {
    "jobArn": "arn:aws:bedrock:us-east-1:123456789012:evaluation-job/abcdefghijkl",
    "jobName": "measured",
    "status": "Failed",
    "creationTime": datetime(2026, 11, 27, tzinfo=UTC),
    "evaluationTaskTypes": ["General", "General"],
    "inferenceConfigSummary": {"modelConfigSummary": {"bedrockModelIdentifiers": ["local.tiny-v1", "other.model-v1"]}},
}
MEASURED = {
    **EVALUATION,
    "failureMessages": ["s3://data/q.jsonl:1: no.", "s3://data/q.jsonl:2: no."],
    "outputDataConfig": {"s3Uri": "s3://data/out/"},
    "evaluationConfig": {
        "automated": {
            "datasetMetricConfigs": [
                {
                    "taskType": "General",
                    "dataset": {"name": "q", "datasetLocation": {"s3Uri": "s3://data/q.jsonl"}},
                    "metricNames": ["Builtin.Correctness"],
                }
            ]
        }
    },
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
        if self._operation == "list_evaluation_jobs":
            return [{"jobSummaries": [EVALUATION]}]
        return [{"modelCustomizationJobSummaries": [{**self._told, "customModelName": "model"}]}]

    class exceptions:  # noqa: N801 (as boto3's clients have it)
        ValidationException = ValueError

    def get_evaluation_job(self, *, jobIdentifier: str) -> dict[str, Any]:
        assert jobIdentifier == EVALUATION["jobArn"]
        return MEASURED

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
    newest, older, _ = json.loads(capsys.readouterr().out)
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


def test_evaluation_jobs_are_listed_and_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    bedrocks = {"us-east-1": Bedrock(job())}
    assert print_jobs(bedrocks, as_json=True) == 0
    *_, oldest = json.loads(capsys.readouterr().out)
    assert (oldest["job"], oldest["status"]) == ("measured", "Failed")
    assert (oldest["base model"], oldest["note"]) == ("local.tiny-v1, other.model-v1", "evaluation: General")
    found = find_evaluation_job(bedrocks, "measured")
    assert found is not None
    assert print_evaluation_job(found, as_json=False) == 1
    told = capsys.readouterr().out
    for line in (
        "data                  s3://data/q.jsonl (General)",
        "metrics               Builtin.Correctness",
        "output                s3://data/out/measured/abcdefghijkl/",
        "message               s3://data/q.jsonl:2: no.",
    ):
        assert line in told
    assert find_evaluation_job(bedrocks, "nothing") is None
    assert find_evaluation_job(bedrocks, "arn:aws:bedrock:eu-west-1:123456789012:evaluation-job/abcdefghijkl") is None
