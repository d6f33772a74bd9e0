"""A customization job as plain values: a row of a list, and its page with phases, curves, events and answers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.language import said, texts_of
from outcrop.console.views.amounts import age, duration, moment_text
from outcrop.console.views.curve import Curve
from outcrop.console.views.job_kinds import RUNNING, base_of
from outcrop.console.views.job_request import read_form
from outcrop.console.views.loss_chart import LossChart, loss_chart
from outcrop.console.views.study_view import StudyGain, StudyPage, study_page

PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")
SEARCH = "outcrop.search"
_MOST_TOLD = 60
_LOSSES = ("TrainingLoss", "ValidationLoss")


class JobRow(NamedTuple):
    """A job in a list."""

    id: str
    arn: str
    name: str
    status: str
    base: str
    kind: str
    age: str
    took: str
    model: str


class JobPhase(NamedTuple):
    """A phase of a job: the key of its name, its status, how long it took."""

    key: str
    status: str
    took: str


class ToldEvent(NamedTuple):
    """An event as a line of the page."""

    time: str
    text: str
    lines: Sequence[str]
    "What is behind it, such as a plan."


class StepAnswer(NamedTuple):
    """An answer after so many steps."""

    step: int
    text: str


class AnsweredPrompt(NamedTuple):
    """A held-out prompt, what its record says, and the answers on the way, the newest first."""

    prompt: str
    expected: str
    answers: list[StepAnswer]


class CheckpointRow(NamedTuple):
    """A checkpoint that can become a model."""

    step: int
    loss: str
    best: bool
    uri: str


class JobPage(NamedTuple):
    """Everything that the page of one job shows."""

    row: JobRow
    phases: list[JobPhase]
    chart: LossChart | None
    beside: list[tuple[str, LossChart]]
    "Smaller charts, each with the key of its name."
    figures: list[tuple[str, str]]
    "Keys and values of what is known of the run right now, or of its end."
    hyper: list[tuple[str, str]]
    failure: str
    data: list[tuple[str, str]]
    model_arn: str
    is_running: bool
    again: list[tuple[str, str]]
    "The values of the wizard with which the same job is asked for again."
    refused: str
    "Why there are no losses and events, where the user may not know them."
    events: list[ToldEvent]
    answered: list[AnsweredPrompt]
    checkpoints: list[CheckpointRow]
    study: StudyPage | None


class JobTold(NamedTuple):
    """The facts that a job has told of itself, beside what the API describes."""

    curves: Mapping[str, Curve]
    last_step: Mapping[str, Any] = {}
    events: Sequence[Mapping[str, Any]] = ()
    answered: Sequence[Mapping[str, Any]] = ()
    checkpoints: Sequence[Mapping[str, Any]] = ()
    study: Mapping[str, Any] | None = None
    gain: StudyGain | None = None
    refused: str = ""


def job_row(job: Mapping[str, Any], now: datetime, language: str) -> JobRow:
    """A row of a summary, or of the details, of a job."""
    end = job.get("endTime") or (now if job["status"] in RUNNING else job.get("lastModifiedTime"))
    return JobRow(
        id=job["jobArn"].rsplit("/", 1)[-1],
        arn=job["jobArn"],
        name=job["jobName"],
        status=job["status"],
        base=base_of(job["baseModelArn"]),
        kind=job.get("customizationType", "FINE_TUNING"),
        age=age(job["creationTime"], now, language),
        took=duration((end - job["creationTime"]).total_seconds(), language) if end else "",
        model=job.get("outputModelName") or job.get("customModelName") or "",
    )


def job_page(
    job: Mapping[str, Any], told: JobTold, now: datetime, language: str, name_of: Callable[[str], str] = base_of
) -> JobPage:
    """The page of a job, from its details and what it has told. `name_of` gives a model's name by its ARN."""
    data = [("data.training", job["trainingDataConfig"].get("s3Uri", ""))]
    validators = job.get("validationDataConfig", {}).get("validators", [])
    data += [("data.validation", each["s3Uri"]) for each in validators]
    data.append(("data.output", job["outputDataConfig"]["s3Uri"]))
    return JobPage(
        row=job_row(job, now, language)._replace(base=name_of(job["baseModelArn"])),
        phases=_phases(job, now, language),
        chart=loss_chart([(said(language, f"jobs.{name}"), told.curves[name].points()) for name in _LOSSES]),
        beside=_beside(told, language),
        figures=_figures(job, told, language),
        hyper=sorted(job.get("hyperParameters", {}).items()),
        failure=job.get("failureMessage", ""),
        data=data,
        model_arn=job.get("outputModelArn") or "",
        is_running=job["status"] in RUNNING,
        again=_again(job),
        refused=told.refused,
        events=[_told_event(each, language) for each in reversed(told.events)][:_MOST_TOLD],
        answered=answered_prompts(told.answered),
        checkpoints=[_checkpoint(each) for each in told.checkpoints],
        study=None if told.study is None else study_page(told.study, told.gain),
    )


def answered_prompts(told: Sequence[Mapping[str, Any]]) -> list[AnsweredPrompt]:
    """The prompts with their answers by step; a step that was told again has its newer answer."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for event in told:
        for each in event["answers"]:
            found.setdefault((each["prompt"], each["expected"]), {})[event["step"]] = each["answer"]
    return [
        AnsweredPrompt(prompt, expected, [StepAnswer(step, by_step[step]) for step in sorted(by_step, reverse=True)])
        for (prompt, expected), by_step in found.items()
    ]


def told_measure(name: str) -> Callable[[float], str]:
    """How a value of a measure is written."""
    written: dict[str, Callable[[float], str]] = {
        "LearningRate": "{:.2e}".format,
        "TokensPerSecond": "{:,.0f}".format,
        "ResidentBytes": lambda value: f"{value / 2**30:.2f} GiB",
    }
    return written.get(name, "{:.3f}".format)


def told_tick(name: str) -> Callable[[float], str]:
    """How a value stands at an axis, where there is little room."""
    written: dict[str, Callable[[float], str]] = {
        "TokensPerSecond": "{:,.0f}".format,
        "ResidentBytes": lambda value: f"{value / 2**30:.4g}",
    }
    return written.get(name, "{:g}".format)


def _again(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    validators = job.get("validationDataConfig", {}).get("validators", [])
    base = job["baseModelArn"]
    form = {
        "model": base_of(base) if "foundation-model" in base else base,
        "kind": job.get("customizationType", ""),
        "train": job["trainingDataConfig"].get("s3Uri", ""),
        "validation": validators[0]["s3Uri"] if validators else "",
        "role": job["roleArn"],
        "output": job["outputDataConfig"]["s3Uri"],
    }
    return read_form(job.get("hyperParameters", {}) | form).query


def _phases(job: Mapping[str, Any], now: datetime, language: str) -> list[JobPhase]:
    found = []
    for name in PHASES:
        told = job.get("statusDetails", {}).get(name, {})
        began, changed = told.get("creationTime"), told.get("lastModifiedTime")
        until = now if told.get("status") == "InProgress" else changed
        took = duration((until - began).total_seconds(), language) if began and until else ""
        found.append(JobPhase(f"jobs.{name}", told.get("status", "NotStarted"), took))
    return found


def _beside(told: JobTold, language: str) -> list[tuple[str, LossChart]]:
    found = []
    for name in ("LearningRate", "TokensPerSecond", "ResidentBytes"):
        line = [(said(language, f"jobs.{name}"), told.curves[name].points())]
        chart = loss_chart(line, told=told_measure(name), told_tick=told_tick(name))
        if chart is not None:
            found.append((f"jobs.{name}", chart))
    return found


def _figures(job: Mapping[str, Any], told: JobTold, language: str) -> list[tuple[str, str]]:
    found = []
    if "step" in told.last_step:
        found.append(("jobs.Step", f"{told.last_step['step'] + 1:,}"))
    for name in (*_LOSSES, "TokensPerSecond", "ResidentBytes"):
        last = told.curves[name].last
        if last is not None:
            found.append((f"jobs.{name}", told_measure(name)(last.loss)))
    if "seconds_left" in told.last_step and job["status"] == "InProgress":
        found.append(("jobs.SecondsLeft", duration(told.last_step["seconds_left"], language)))
    return found


def _told_event(event: Mapping[str, Any], language: str) -> ToldEvent:
    kind = event["event"]
    texts = texts_of(language)
    text = texts.get(f"event.{kind}", kind)
    values = {name: _short(value) for name, value in event.items()}
    for name, table in (("status", "status"), ("end", "study")):
        if name in values:
            values[name] = texts.get(f"{table}.{values[name]}", values[name])
    try:
        sentence = text.format(**values)
    except (KeyError, IndexError):
        sentence = kind  # of a file that somebody else wrote
    return ToldEvent(moment_text(str(event.get("time", ""))), sentence, event.get("lines", ()))


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _checkpoint(told: Mapping[str, Any]) -> CheckpointRow:
    loss = told.get("validation_loss")
    return CheckpointRow(told["step"], "" if loss is None else f"{loss:.4f}", bool(told.get("best")), told["uri"])
