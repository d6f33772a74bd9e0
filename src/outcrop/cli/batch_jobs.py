"""Batch inference jobs as `outcrop jobs` shows them, beside those of customization."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from outcrop import arn as arns
from outcrop.errors import Invalid

_KIND = "model-invocation-job"


def batch_rows(bedrocks: Mapping[str, Any]) -> Iterator[tuple[datetime, list[str]]]:
    """A row for each job of the regions that `bedrocks` has clients for, and when it was submitted."""
    for region, bedrock in bedrocks.items():
        for page in bedrock.get_paginator("list_model_invocation_jobs").paginate():
            for job in page["invocationJobSummaries"]:
                submitted: datetime = job["submitTime"]
                model = job["modelId"].split("/", 1)[1]
                note = f"batch: {progress(job)}"
                yield submitted, [job["jobName"], job["status"], model, "", f"{submitted:%Y-%m-%d %H:%M}", region, note]


def find_batch_job(bedrocks: Mapping[str, Any], job: str) -> dict[str, Any] | None:
    """The API's description of a batch job, by name or ARN, in any of the regions. None where there is none.

    Raises Invalid when jobs of several regions have the name.
    """
    found = [each for region, bedrock in bedrocks.items() for each in _named(bedrock, region, job)]
    if len(found) > 1:
        raise Invalid(f"{job}: there is such a batch job in several regions. Choose one with --region.")
    return found[0] if found else None


def print_batch_job(job: dict[str, Any], *, as_json: bool) -> int:
    """1 for a job that failed."""
    if as_json:
        print(json.dumps(job, indent=2, ensure_ascii=False, default=str))
    else:
        print("\n".join(f"{name:<22}{value}" for name, value in _lines(job)))
    return int(job["status"] == "Failed")


def progress(job: Mapping[str, Any]) -> str:
    """How many of its records are done."""
    total, errors = job.get("totalRecordCount"), job.get("errorRecordCount", 0)
    if total is None:
        return "records not counted yet"
    return f"{job['processedRecordCount']:,} of {total:,} records" + (f", {errors:,} errors" if errors else "")


def _named(bedrock: Any, region: str, job: str) -> Iterator[dict[str, Any]]:
    asked = arns.parse(job)
    if asked is not None and (asked.region != region or asked.kind != _KIND):
        return
    pages = bedrock.get_paginator("list_model_invocation_jobs").paginate(**({} if asked else {"nameContains": job}))
    try:
        for page in pages:
            yield from (each for each in page["invocationJobSummaries"] if job in (each["jobName"], each["jobArn"]))
    except bedrock.exceptions.ValidationException:
        return  # no batch job can have such a name


def _lines(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "batch job", job["jobName"]
    yield "status", job["status"]
    yield "model", job["modelId"]
    yield "done", progress(job)
    yield "input", job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
    yield (
        "output",
        f"{job['outputDataConfig']['s3OutputDataConfig']['s3Uri'].rstrip('/')}/{job['jobArn'].rsplit('/', 1)[-1]}/",
    )
    if job.get("message"):
        yield "message", job["message"]
