"""Evaluation jobs as `outcrop jobs` shows them, beside those of customization and of batch inference."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from outcrop import arn as arns
from outcrop.errors import Invalid

_KIND = "evaluation-job"
_SUBJECTS = {
    "modelConfigSummary": ("bedrockModelIdentifiers", "precomputedInferenceSourceIdentifiers"),
    "ragConfigSummary": ("bedrockKnowledgeBaseIdentifiers", "precomputedRagSourceIdentifiers"),
}


def evaluation_rows(bedrocks: Mapping[str, Any]) -> Iterator[tuple[datetime, list[str]]]:
    """A row for each job of the regions that `bedrocks` has clients for, and when it was created."""
    for region, bedrock in bedrocks.items():
        for page in bedrock.get_paginator("list_evaluation_jobs").paginate():
            for job in page.get("jobSummaries", ()):
                created: datetime = job["creationTime"]
                note = f"evaluation: {', '.join(dict.fromkeys(job['evaluationTaskTypes']))}"
                subjects = ", ".join(each.rsplit("/", 1)[-1] for each in _subjects(job))
                yield created, [job["jobName"], job["status"], subjects, "", f"{created:%Y-%m-%d %H:%M}", region, note]


def find_evaluation_job(bedrocks: Mapping[str, Any], job: str) -> dict[str, Any] | None:
    """The API's description of an evaluation job, by name or ARN, in any of the regions. None where there is none.

    Raises Invalid when jobs of several regions have the name.
    """
    found = [(bedrock, each["jobArn"]) for region, bedrock in bedrocks.items() for each in _named(bedrock, region, job)]
    if len(found) > 1:
        raise Invalid(f"{job}: there is such an evaluation job in several regions. Choose one with --region.")
    if not found:
        return None
    bedrock, arn = found[0]
    told: dict[str, Any] = bedrock.get_evaluation_job(jobIdentifier=arn)
    return told


def print_evaluation_job(job: dict[str, Any], *, as_json: bool) -> int:
    """1 for a job that failed."""
    told = {name: value for name, value in job.items() if name != "ResponseMetadata"}
    if as_json:
        print(json.dumps(told, indent=2, ensure_ascii=False, default=str))
    else:
        print("\n".join(f"{name:<22}{value}" for name, value in _lines(job)))
    return int(job["status"] == "Failed")


def _lines(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "evaluation job", job["jobName"]
    yield "status", job["status"]
    for config in job["evaluationConfig"]["automated"]["datasetMetricConfigs"]:
        yield "data", f"{config['dataset']['datasetLocation']['s3Uri']} ({config['taskType']})"
        yield "metrics", ", ".join(config["metricNames"])
    yield (
        "output",
        f"{job['outputDataConfig']['s3Uri'].rstrip('/')}/{job['jobName']}/{job['jobArn'].rsplit('/', 1)[-1]}/",
    )
    for message in job.get("failureMessages", ()):
        yield "message", message


def _subjects(job: Mapping[str, Any]) -> Iterator[str]:
    """The models, knowledge bases or sources that a job measures."""
    summary = job["inferenceConfigSummary"]
    for member, names in _SUBJECTS.items():
        for name in names:
            yield from summary.get(member, {}).get(name, ())


def _named(bedrock: Any, region: str, job: str) -> Iterator[dict[str, Any]]:
    asked = arns.parse(job)
    if asked is not None and (asked.region != region or asked.kind != _KIND):
        return
    pages = bedrock.get_paginator("list_evaluation_jobs").paginate(**({} if asked else {"nameContains": job}))
    try:
        for page in pages:
            yield from (each for each in page.get("jobSummaries", ()) if job in (each["jobName"], each["jobArn"]))
    except bedrock.exceptions.ValidationException:
        return  # no evaluation job can have such a name
