"""`outcrop jobs`: a job whose model is worse than its base does not end with 0."""

from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.cli.job import print_job
from outcrop.cli.tables import print_jobs

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

    def get_paginator(self, _operation: str) -> "Bedrock":
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"modelCustomizationJobSummaries": [{**self._told, "customModelName": "model"}]}]

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
