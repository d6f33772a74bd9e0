"""The events of a job as they were told, read page by page: by offsets into `events.jsonl`, which only grows.

A page goes on where the one before it ended, so whoever watches a job reads what is new, however long the run is. Steps
that a killed worker had told are told again after a `resume`, which takes back what came after its step.
"""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import orjson

from outcrop.errors import Invalid

_PIECE = 4 << 20
_STEP_MEMBERS = (
    "time",
    "step",
    "epoch",
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens",
    "tokens_per_s",
    "resident_bytes",
    "seconds_left",
)
_EVALUATION_MEMBERS = ("time", "step", "epoch", "loss", "best")


class EventsPage(NamedTuple):
    """Some events in the order in which they were told."""

    events: list[dict[str, Any]]
    next: int
    "The offset of the first event that is not among them."
    more: bool
    "Whether there is another one."


class LossesPage(NamedTuple):
    """The losses of some steps and evaluations, each once, by step."""

    steps: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    taken_up_at: int | None
    "The lowest step at which the job was taken up again here: what an earlier page told of later steps is void."
    next: int
    more: bool


def events(file: BinaryIO, *, after: int, wanted: Callable[[str], bool], most: int) -> EventsPage:
    """Up to `most` events whose kind is wanted. Raises Invalid for an offset that is not the start of an event."""
    found: list[dict[str, Any]] = []
    end = after
    for event, offset in _read(file, after):
        if event is not None and wanted(event["event"]):
            if len(found) == most:
                return EventsPage(found, end, more=True)
            found.append(event)
        end = offset
    return EventsPage(found, end, more=False)


def losses(file: BinaryIO, *, after: int, since: int, most: int) -> LossesPage:
    """Up to `most` steps beyond step `since`, and the evaluations among them. Raises Invalid as `events` does."""
    steps: dict[int, dict[str, Any]] = {}
    evaluations: dict[int, dict[str, Any]] = {}
    taken_up_at: int | None = None
    end, more = after, False
    for event, offset in _read(file, after):
        kind, step = (None, None) if event is None else (event["event"], event.get("step"))
        if event is not None and isinstance(step, int):
            if kind == "resume":
                taken_up_at = step if taken_up_at is None else min(step, taken_up_at)
                steps = {each: told for each, told in steps.items() if each < step}
                evaluations = {each: told for each, told in evaluations.items() if each <= step}
            elif kind == "evaluation" and step > since:
                evaluations[step] = {name: event[name] for name in _EVALUATION_MEMBERS if name in event}
            elif kind == "step" and step > since:
                if len(steps) == most:
                    more = True
                    break
                steps[step] = {name: event[name] for name in _STEP_MEMBERS if name in event}
        end = offset
    return LossesPage(_by_step(steps), _by_step(evaluations), taken_up_at, end, more=more)


def _by_step(told: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [told[step] for step in sorted(told)]


def _read(file: BinaryIO, after: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """The event of each line, None for a line that is none, with the offset behind it."""
    size = file.seek(0, 2)
    _check_offset(file, after, size)
    file.seek(after)
    offset, rest = after, b""
    while piece := file.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            offset += len(line) + 1
            yield _event(line), offset


def _check_offset(file: BinaryIO, after: int, size: int) -> None:
    if 0 < after <= size:
        file.seek(after - 1)
        if file.read(1) == b"\n":
            return
    if after != 0:
        raise Invalid(f"after: {after} is where no event begins. Give the `next` of an answer, or leave it out.")


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(line)
    except ValueError:
        return None  # who may write into the output bucket may write anything
    return told if isinstance(told, dict) and isinstance(told.get("event"), str) else None
