"""A customization job as the API tells it: what was asked, what is used, and what came of it."""

import json
from collections.abc import Iterator
from typing import Any

WORSE = "worse than its base"
"What a listing says of a job that completed with a model that is no better than what it began with."


def print_job(job: dict[str, Any], *, as_json: bool) -> int:
    """1 for a job that failed, or whose custom model is no better than what its training began with."""
    if as_json:
        told = {name: value for name, value in job.items() if name != "ResponseMetadata"}
        print(json.dumps(told, indent=2, ensure_ascii=False, default=str))
    else:
        print("\n".join(f"{name:<22}{value}" for name, value in _lines(job)))
    return int("failureMessage" in job)


def verdict_of(job: dict[str, Any]) -> str:
    """A few words for a listing; none for a job that went as it should, or has not ended."""
    return WORSE if job["status"] == "Completed" and "failureMessage" in job else ""


def _lines(job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "job", job["jobName"]
    yield "status", " ".join(filter(None, [job["status"], f"({verdict_of(job)})" if verdict_of(job) else ""]))
    yield "base model", job["baseModelArn"]
    yield "custom model", job.get("outputModelArn", job["outputModelName"])
    yield from sorted(job["hyperParameters"].items())
    if "trainingMetrics" in job:
        yield "training loss", f"{job['trainingMetrics']['trainingLoss']:.4f}"
    for metrics in job.get("validationMetrics", []):
        yield "validation loss", f"{metrics['validationLoss']:.4f}"
    if job["status"] == "Completed" and not job.get("validationMetrics"):
        yield "note", "without validation data nothing tells whether the model is better than its base"
    if "failureMessage" in job:
        yield "message", job["failureMessage"]
