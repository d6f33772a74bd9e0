"""The history of a customization job as it was told: losses of every step, events, checkpoints, log lines.

    GET /outcrop/losses?job=ARN&since=STEP        every step's loss, rate, tokens/s and memory, and the evaluations
    GET /outcrop/events?job=ARN&kind=answers      everything else that happened: notes, checkpoints, answers, the end
    GET /outcrop/checkpoints?job=ARN              checkpoints that are there, of which CreateCustomModel makes models
    GET /outcrop/log?job=ARN                      lines of the workers' logs about it, the newest last

Losses and events are read where the job writes them, and later from its output bucket under its own role. An answer
ends with `next`; given back as `after`, it asks for what came since. Each is for whoever may do the action on the job,
and `kms:Decrypt` with the key that seals it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from outcrop.api.own.operation import OwnCall
from outcrop.customization.kind import KIND
from outcrop.customization.output import artifacts, events, told_events
from outcrop.customization.output.checkpoint_files import MANIFEST
from outcrop.errors import Invalid, MachineTrouble, NotFound, Refusal
from outcrop.house import House
from outcrop.jobs import lease_folders, log_lines
from outcrop.keys import sealing
from outcrop.keys.sealed_records import sealed_by
from outcrop.store.resources import Resource

_MOST_STEPS = 10_000
_MOST_EVENTS = 200
_MOST_LINES = 500
_log = logging.getLogger("outcrop.door")


def get_losses(call: OwnCall) -> dict[str, Any]:
    """Every step's numbers as the job wrote them: each step once, also where the job was taken up again."""
    job = _job(call, "outcrop:GetLosses")
    after, since = call.number("after", otherwise=0), call.number("since", otherwise=-1)
    with _told(call.house, job) as file:
        page = told_events.losses(file, after=after, since=since, most=_MOST_STEPS)
    return {
        "job": job.arn,
        "steps": page.steps,
        "evaluations": page.evaluations,
        "taken_up_at": page.taken_up_at,
        "next": str(page.next),
        "more": page.more,
    }


def get_events(call: OwnCall) -> dict[str, Any]:
    """The events beside the steps, oldest first; `kind`, again and again, names those that are wanted."""
    job = _job(call, "outcrop:GetJobEvents")
    after, kinds = call.number("after", otherwise=0), set(call.all("kind"))
    with _told(call.house, job) as file:
        page = told_events.events(
            file,
            after=after,
            wanted=lambda kind: kind in kinds if kinds else kind != "step",
            most=_MOST_EVENTS,
        )
    return {"job": job.arn, "events": page.events, "next": str(page.next), "more": page.more}


def list_checkpoints(call: OwnCall) -> dict[str, Any]:
    """The checkpoints that the job has left and that are there still, by step."""
    job = _job(call, "outcrop:ListCheckpoints")
    with _told(call.house, job) as file:
        told = {each["step"]: each for each in _checkpoints(file)}
    found = [told[step] for step in sorted(told) if _is_there(call.house, job, told[step]["uri"])]
    losses = [each["validation_loss"] for each in found if each.get("validation_loss") is not None]
    members = ("step", "epoch", "validation_loss", "uri", "time")
    return {
        "job": job.arn,
        "checkpoints": [
            {name: each.get(name) for name in members}
            | {"best": bool(losses) and each.get("validation_loss") == min(losses)}
            for each in found
        ],
    }


def get_log(call: OwnCall) -> dict[str, Any]:
    """Lines of the workers' logs that name the job, oldest first; `before` is a time, for those before it."""
    job = _job(call, "outcrop:GetJobLog")
    lines = log_lines.about(call.house.settings.logs, job.arn, before=call.one("before"), most=_MOST_LINES)
    return {"job": job.arn, "lines": lines}


def _job(call: OwnCall, action: str) -> Resource:
    """The job that is asked about. Raises a refusal, Invalid for no ARN, NotFound for none of a customization job."""
    asked = call.one("job")
    call.allowed(action, asked or "*")
    if not asked:
        raise Invalid("job: give the ARN of a customization job: ?job=ARN.")
    job = call.house.store.resources.get(asked)
    if job is None or job.kind != KIND.name:
        raise NotFound(f"job: there is no customization job with the ARN {asked}.")
    call.demand_sealing_key(sealed_by(job.document))
    return job


@contextmanager
def _told(house: House, job: Resource) -> Iterator[BinaryIO]:
    """The events of a job: its own file while it runs, then the output's; empty where there is neither."""
    own = lease_folders.newest(house.settings.runs, job.arn.rsplit("/", 1)[-1])
    file: BinaryIO
    try:
        file = _opened(house, job, own)
    except FileNotFoundError:
        try:
            file = house.data.under(job.document["roleArn"], source_arn=job.arn).open(_uri(job, artifacts.EVENTS))
        except (Refusal, MachineTrouble, OSError) as error:
            _log.info("no events of %s: %s", job.arn, error)
            file = BytesIO()
    with file:
        yield file


def _opened(house: House, job: Resource, folder: Path) -> BinaryIO:
    """The job's own file in clear. Raises FileNotFoundError, and Invalid while a sealed one cannot be opened."""
    data_key = sealing.opened(house, job.document)
    if data_key is None:
        return (folder / events.FILE).open("rb")
    return BytesIO(b"".join(events.opened_lines(folder / events.FILE, events.sealed_lines(data_key, folder))))


def _checkpoints(file: BinaryIO) -> list[dict[str, Any]]:
    found, after, more = [], 0, True
    while more:
        page = told_events.events(file, after=after, wanted=lambda kind: kind == "checkpoint", most=_MOST_EVENTS)
        found += [
            each for each in page.events if isinstance(each.get("step"), int) and isinstance(each.get("uri"), str)
        ]
        after, more = page.next, page.more
    return found


def _is_there(house: House, job: Resource, uri: str) -> bool:
    """Whether a checkpoint is whole: its manifest is written last."""
    try:
        house.data.under(job.document["roleArn"], source_arn=job.arn).find(f"{uri.rstrip('/')}/{MANIFEST}")
    except (Refusal, MachineTrouble):
        return False
    return True


def _uri(job: Resource, path: str) -> str:
    return artifacts.uri_of(path, output_uri=job.document["outputDataConfig"]["s3Uri"], job_arn=job.arn)
