"""Customization jobs as OpenAI's fine-tuning jobs: their ids and names, and what they have left in their output.

A job that is made here is called `ftjob-<id>`, and its model `<suffix>-<id>`; one that boto3 made goes by its own name.
"""

import json
from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.api.openai import model_names, stored_files
from outcrop.api.openai.stored_files import RESULTS, StoredFile
from outcrop.buckets.names import Place, parse_s3_uri
from outcrop.customization.kind import KIND
from outcrop.customization.output import artifacts
from outcrop.customization.states import JobStatus
from outcrop.errors import MachineTrouble, Refusal
from outcrop.house import House
from outcrop.store.resources import Resource

PREFIX = "ftjob-"
_RESULTS_ID = "file-results-"


def new_names(suffix: str) -> tuple[str, str]:
    """Names of a new job and of the model that it will make."""
    identifier = arns.new_id()
    return f"{PREFIX}{identifier}", f"{suffix or model_names.NO_SUFFIX}-{identifier}"


def fine_tuned_model(job: Resource) -> str:
    """The name of OpenAI's form that a job's model has, or will have."""
    return model_names.fine_tuned_name(str(job.document["baseId"]), str(job.document["outputModelName"]))


def suffix_of(job: Resource) -> str | None:
    """The suffix that a job was made with; None of one that has none, or that boto3 made."""
    if not (job.name or "").startswith(PREFIX):
        return None
    suffix = str(job.document["outputModelName"]).rpartition("-")[0]
    return None if suffix == model_names.NO_SUFFIX else suffix


def events_of(house: House, job: Resource) -> list[dict[str, Any]]:
    """The events that a job has told so far, oldest first; none where they cannot be read any more."""
    events = []
    for line in _read(house, job, artifacts.EVENTS).splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
    return events


def progress_of(house: House, job: Resource) -> Mapping[str, Any]:
    """How far a job is; nothing where it has not said."""
    try:
        told = json.loads(_read(house, job, artifacts.PROGRESS) or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def results_id(job: Resource) -> str:
    """The id of the file that holds a job's metrics, step by step."""
    return f"{_RESULTS_ID}{job.name}"


def results_file(house: House, region: str, file_id: str) -> StoredFile | None:
    """The metrics of a completed job as a file; None for another id, and where they are gone."""
    if not file_id.startswith(_RESULTS_ID):
        return None
    job = house.store.resources.find(KIND.name, region, file_id.removeprefix(_RESULTS_ID))
    if job is None or job.status != JobStatus.COMPLETED or not is_ours(house, job):
        return None
    place = parse_s3_uri(_uri(job, artifacts.METRICS))
    try:
        record = house.buckets.find(*place)
    except Refusal:
        return None
    return StoredFile(
        id=file_id,
        filename="step_metrics.csv",
        purpose=RESULTS,
        size=record.size,
        created=record.modified,
        place=Place(*place),
    )


def is_ours(house: House, job: Resource) -> bool:
    """Whether a job's output lies in the bucket of files."""
    return parse_s3_uri(job.document["outputDataConfig"]["s3Uri"]).bucket == stored_files.bucket_name(house)


def _read(house: House, job: Resource, path: str) -> bytes:
    """A file of a job's output, read under the job's own role."""
    try:
        data = house.data.under(job.document["roleArn"], source_arn=job.arn)
        return data.read(_uri(job, path))
    except (Refusal, MachineTrouble, OSError):
        return b""


def _uri(job: Resource, path: str) -> str:
    return artifacts.uri_of(path, output_uri=job.document["outputDataConfig"]["s3Uri"], job_arn=job.arn)
