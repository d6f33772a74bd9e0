"""Events and checkpoints of a fine-tuning job in OpenAI's form, newest first, under ids that stay."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from outcrop.api.openai import stored_files, training_jobs
from outcrop.customization.states import JobStatus, Phase
from outcrop.house import House
from outcrop.store.resources import Resource

_UNBEGUN = "NotStarted"
_DONE = "Completed"


def events(house: House, job: Resource) -> list[dict[str, Any]]:
    """All events of a job so far, newest first."""
    told = [*_before_training(job), *_told(house, job), *_at_end(job)]
    return [_event(job, number, *each) for number, each in enumerate(told)][::-1]


def checkpoints(house: House, job: Resource) -> list[dict[str, Any]]:
    """The checkpoints that a job has written so far, newest first."""
    found: dict[int, dict[str, Any]] = {}
    loss: dict[int, float] = {}
    for event in training_jobs.events_of(house, job):
        if event["event"] == "step":
            loss[event["step"] + 1] = event["loss"]  # a checkpoint counts the steps before it, from 1
        elif event["event"] == "checkpoint":
            found[event["step"]] = _checkpoint(job, event, loss)
    return [found[step] for step in sorted(found, reverse=True)]


def trained_tokens(house: House, job: Resource) -> int:
    """The tokens of all steps; one that was taken again after a kill counts once."""
    steps = {each["step"]: each["tokens"] for each in training_jobs.events_of(house, job) if each["event"] == "step"}
    return sum(steps.values())


Told = tuple[datetime | str, str, str, Mapping[str, Any] | None]
"Time, level, message, and the numbers of an event of metrics."


def _before_training(job: Resource) -> Iterator[Told]:
    yield job.created, "info", f"Created fine-tuning job: {job.name}", None
    validation = job.document["statusDetails"][Phase.VALIDATION]
    if validation["status"] == _UNBEGUN:
        return
    uris = [job.document["trainingDataConfig"]["s3Uri"]]
    uris += [each["s3Uri"] for each in job.document["validationDataConfig"]["validators"]]
    training, *others = (stored_files.id_in(uri) for uri in uris)
    also = f" and validation file: {', '.join(others)}" if others else ""
    yield validation.get("creationTime") or job.created, "info", f"Validating training file: {training}{also}", None
    if validation["status"] == _DONE:
        text = "Files validated, moving job to queued state"
        yield validation.get("lastModifiedTime") or job.created, "info", text, None


def _told(house: House, job: Resource) -> Iterator[Told]:
    for event in training_jobs.events_of(house, job):
        found = _as_told(event)
        if found is not None:
            yield event["time"], *found


def _as_told(event: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any] | None] | None:
    kind, step = event["event"], event.get("step")
    if kind == "step":
        step = event["step"] + 1  # events count steps from 0, people and checkpoints from 1
    if kind == "start":
        return "info", "Fine-tuning job started", None
    if kind == "resume":
        return "warn", f"Fine-tuning job resumed at step {step}, after its worker was stopped", None
    if kind == "step":
        numbers = {"step": step, "train_loss": event["loss"], "learning_rate": event["learning_rate"]}
        return "info", f"Step {step}: training loss={event['loss']:.2f}", numbers
    if kind == "evaluation":
        return "info", f"Step {step}: validation loss={event['loss']:.2f}", {"step": step, "valid_loss": event["loss"]}
    if kind == "checkpoint":
        return "info", f"Checkpoint created at step {step}", None
    return ("warn", str(event["note"]), None) if kind == "note" else None


def _at_end(job: Resource) -> Iterator[Told]:
    at = job.document.get("endTime") or job.updated
    if job.status == JobStatus.COMPLETED:
        yield at, "info", f"New fine-tuned model created: {training_jobs.fine_tuned_model(job)}", None
        yield at, "info", "The job has successfully completed", None
    elif job.status == JobStatus.FAILED:
        yield at, "error", f"The job failed due to: {job.document.get('failureMessage', '')}", None
    elif job.status == JobStatus.STOPPED:
        yield at, "info", "Fine-tuning job cancelled", None


def _event(
    job: Resource, number: int, at: datetime | str, level: str, message: str, numbers: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "object": "fine_tuning.job.event",
        "id": f"ftevent-{_digest(job, f'event {number}')}",
        "created_at": _seconds(at),
        "level": level,
        "message": message,
        "type": "message" if numbers is None else "metrics",
        "data": None if numbers is None else dict(numbers),
    }


def _checkpoint(job: Resource, event: Mapping[str, Any], loss: Mapping[int, float]) -> dict[str, Any]:
    step = event["step"]
    measured = {"step": step, "train_loss": loss.get(step), "valid_loss": event.get("validation_loss")}
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": f"ftckpt_{_digest(job, f'checkpoint {step}')}",
        "created_at": _seconds(event["time"]),
        "fine_tuned_model_checkpoint": f"{training_jobs.fine_tuned_model(job)}:ckpt-step-{step}",
        "fine_tuning_job_id": job.name,
        "metrics": {name: value for name, value in measured.items() if value is not None},
        "step_number": step,
        "uri": event["uri"],
    }


def _digest(job: Resource, what: str) -> str:
    return hashlib.sha256(f"{job.arn} {what}".encode()).hexdigest()[:24]


def _seconds(at: datetime | str) -> int:
    return int((datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp())
