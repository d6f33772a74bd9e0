"""A customization job in OpenAI's form: states, hyperparameters, errors."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outcrop.api.openai import model_names, stored_files, training_events, training_jobs
from outcrop.customization.choices import hyperparameters
from outcrop.customization.states import JobStatus, Phase
from outcrop.house import House
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

AUTO = "auto"
_ENDED = {JobStatus.COMPLETED: "succeeded", JobStatus.FAILED: "failed", JobStatus.STOPPED: "cancelled"}
_UNBEGUN, _RUNS = "NotStarted", "InProgress"


def members(house: House, job: Resource) -> dict[str, Any]:
    """The job as OpenAI's clients read it. Raises Damaged."""
    with understood(job.arn):
        document = job.document
        validators = [each["s3Uri"] for each in document["validationDataConfig"]["validators"]]
        used = _hyperparameters(job)
        completed = job.status == JobStatus.COMPLETED
        return {
            "object": "fine_tuning.job",
            "id": job.name,
            "model": _base(house, job),
            "created_at": int(job.created.timestamp()),
            "finished_at": _seconds(document.get("endTime")) if job.status in _ENDED else None,
            "fine_tuned_model": training_jobs.fine_tuned_model(job) if completed else None,
            "organization_id": model_names.OWNER,
            "result_files": [training_jobs.results_id(job)] if completed and training_jobs.is_ours(house, job) else [],
            "status": status_of(job),
            "training_file": stored_files.id_in(document["trainingDataConfig"]["s3Uri"]),
            "validation_file": stored_files.id_in(validators[0]) if validators else None,
            "hyperparameters": used,
            "method": {"type": "supervised", "supervised": {"hyperparameters": used}},
            "trained_tokens": training_events.trained_tokens(house, job) if completed else None,
            "estimated_finish": _estimate(house, job),
            "user_provided_suffix": training_jobs.suffix_of(job),
            "seed": int(document["hyperParameters"].get("outcrop.seed", "0")),
            "error": _error(job),
            "integrations": [],
            "metadata": None,
        }


def status_of(job: Resource) -> str:
    """The state in OpenAI's words. A job that is being stopped is running until it has stopped."""
    if job.status in _ENDED:
        return _ENDED[JobStatus(job.status)]
    validation = job.document["statusDetails"][Phase.VALIDATION]["status"]
    if validation == _UNBEGUN:
        return "queued"
    return "validating_files" if validation == _RUNS else "running"


def _base(house: House, job: Resource) -> str:
    parent_arn = job.document["parentArn"]
    parent = None if parent_arn is None else house.models.look(job.region, parent_arn)
    return str(job.document["baseId"]) if parent is None else model_names.name_of(parent)


def _hyperparameters(job: Resource) -> dict[str, Any]:
    values: Mapping[str, str] = hyperparameters.shown(job.document)
    given: Mapping[str, str] = job.document["hyperParameters"]
    batch_size = given.get("outcrop.batchSize", values.get("batchSize", "1"))
    return {
        "n_epochs": int(values["epochCount"]),
        "batch_size": int(batch_size),
        "learning_rate_multiplier": float(given.get(hyperparameters.MULTIPLIER, "1")),
    }


def _error(job: Resource) -> dict[str, Any] | None:
    """Why a job failed; of one that its data failed, the parameter that named the data."""
    if job.status != JobStatus.FAILED:
        return None
    message = str(job.document.get("failureMessage", ""))
    if job.document["statusDetails"][Phase.VALIDATION]["status"] == "Completed":
        return {"code": "training_failed", "message": message, "param": None}
    validators = [each["s3Uri"] for each in job.document["validationDataConfig"]["validators"]]
    names = [uri.rsplit("/", 1)[-1] for uri in validators]
    training = job.document["trainingDataConfig"]["s3Uri"].rsplit("/", 1)[-1]
    is_of_validation = any(message.startswith(f"{name}:") for name in names) and not message.startswith(f"{training}:")
    param = "validation_file" if is_of_validation else "training_file"
    return {"code": f"invalid_{param}", "message": message, "param": param}


def _estimate(house: House, job: Resource) -> int | None:
    """When a running job will most likely have finished, as far as it has told."""
    if status_of(job) != "running":
        return None
    left = training_jobs.progress_of(house, job).get("seconds_left")
    return int(house.clock.now().timestamp() + left) if isinstance(left, int | float) else None


def _seconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp())
