"""A reader of the output of Bedrock's evaluation jobs, written from the pages of AWS and from nothing in this project.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-report-s3.html
https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-prompt-datasets-judge.html
https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-evaluation-prompt.html
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

_OF_MODELS = re.compile(
    r"(?P<job>[^/]+)/(?P<id>[^/]+)/models/(?P<model>[^/]+)/taskTypes/(?P<task>[^/]+)/datasets/(?P<dataset>[^/]+)/"
    r"(?P<uuid>[0-9a-f-]{36})_output\.jsonl"
)
_OF_RETRIEVAL = re.compile(
    r"(?P<job>[^/]+)/(?P<id>[^/]+)/inference_configs/\d+/datasets/(?P<dataset>[^/]+)/(?P<uuid>[0-9a-f-]{36})_output\.jsonl"
)


@dataclass
class ReadRecord:
    """A prompt with its answer and its scores."""

    prompt: str
    response: str | None
    model: str | None
    scores: dict[str, Any] = field(default_factory=dict)
    explanations: dict[str, str] = field(default_factory=dict)
    category: str | None = None


@dataclass
class ReadOutput:
    """The records of a job, by data set, and its customers' metrics."""

    records: dict[str, list[ReadRecord]] = field(default_factory=dict)
    custom_metrics: dict[str, Any] = field(default_factory=dict)

    def mean(self, dataset: str, metric: str) -> float:
        return fmean(each.scores[metric] for each in self.records[dataset] if metric in each.scores)


def read_output(s3: Any, output_uri: str, job_name: str) -> ReadOutput:
    """Everything that a job with this name has written below an output path."""
    bucket, _, prefix = output_uri.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    found = ReadOutput()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}{job_name}/")
    for key in (each["Key"] for page in pages for each in page.get("Contents", ())):
        inside = key.removeprefix(prefix)
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        if match := _OF_MODELS.fullmatch(inside):
            lines = [json.loads(line) for line in body.splitlines()]
            found.records.setdefault(match["dataset"], []).extend(map(_of_model, lines))
        elif match := _OF_RETRIEVAL.fullmatch(inside):
            turns = [turn for line in body.splitlines() for turn in json.loads(line)["conversationTurns"]]
            found.records.setdefault(match["dataset"], []).extend(map(_of_retrieval, turns))
        elif "/custom_metrics/" in inside:
            definition = json.loads(body)["customMetricDefinition"]
            found.custom_metrics[definition["metricName"]] = definition
    return found


def _of_model(line: dict[str, Any]) -> ReadRecord:
    asked, answered = line["inputRecord"], line["modelResponses"]
    record = ReadRecord(
        prompt=asked["prompt"],
        response=answered[0]["response"] if answered else None,
        model=answered[0]["modelIdentifier"] if answered else None,
        category=asked.get("category"),
    )
    _score(record, line["automatedEvaluationResult"]["scores"])
    return record


def _of_retrieval(turn: dict[str, Any]) -> ReadRecord:
    record = ReadRecord(
        prompt="".join(block["text"] for block in turn["inputRecord"]["prompt"]["content"]),
        response=turn["output"].get("text"),
        model=turn["output"].get("modelIdentifier"),
    )
    _score(record, turn["results"])
    return record


def _score(record: ReadRecord, scores: list[dict[str, Any]]) -> None:
    for score in scores:
        record.scores[score["metricName"]] = score["result"]
        for detail in _details(score):
            record.explanations[score["metricName"]] = detail["explanation"]


def _details(score: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from score.get("evaluatorDetails", ())
