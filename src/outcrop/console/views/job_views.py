"""Customization jobs as plain values: a row of the list, and a job with phases, losses and figures."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age, duration, model_id
from outcrop.console.views.job_request import read_form
from outcrop.console.views.loss_chart import ChartPoint, LossChart, loss_chart

METRICS = ("Step", "TrainingLoss", "ValidationLoss", "TokensPerSecond", "SecondsLeft", "ResidentBytes", "LearningRate")
"Those of the namespace Outcrop/Jobs that the page of a job shows."
PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")
RUNNING = frozenset({"InProgress", "Stopping"})


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


class JobPage(NamedTuple):
    """Everything that the page of one job shows."""

    row: JobRow
    phases: list[JobPhase]
    chart: LossChart | None
    figures: list[tuple[str, str]]
    "Keys and values of what is known of the run right now, or of its end."
    hyper: list[tuple[str, str]]
    failure: str
    data: list[tuple[str, str]]
    model_arn: str
    is_running: bool
    again: list[tuple[str, str]]
    "The values of the wizard with which the same job is asked for again."


def job_row(job: Mapping[str, Any], now: datetime, language: str) -> JobRow:
    """A row of a summary, or of the details, of a job."""
    end = job.get("endTime") or (now if job["status"] in RUNNING else job.get("lastModifiedTime"))
    return JobRow(
        id=job["jobArn"].rsplit("/", 1)[-1],
        arn=job["jobArn"],
        name=job["jobName"],
        status=job["status"],
        base=model_id(job["baseModelArn"]) if "foundation-model" in job["baseModelArn"] else job["baseModelArn"],
        kind=job.get("customizationType", "FINE_TUNING"),
        age=age(job["creationTime"], now, language),
        took=duration((end - job["creationTime"]).total_seconds(), language) if end else "",
        model=job.get("outputModelName") or job.get("customModelName") or "",
    )


def job_page(
    job: Mapping[str, Any], points: Mapping[str, Sequence[tuple[datetime, float]]], now: datetime, language: str
) -> JobPage:
    """The page of a job from its details and the points of its metrics, by metric and in time's order."""
    data = [("data.training", job["trainingDataConfig"].get("s3Uri", ""))]
    validators = job.get("validationDataConfig", {}).get("validators", [])
    data += [("data.validation", each["s3Uri"]) for each in validators]
    data.append(("data.output", job["outputDataConfig"]["s3Uri"]))
    return JobPage(
        row=job_row(job, now, language),
        phases=_phases(job, now, language),
        chart=loss_chart([(f"jobs.{name}", losses(points, name)) for name in ("TrainingLoss", "ValidationLoss")]),
        figures=_figures(job, points, language),
        hyper=sorted(job.get("hyperParameters", {}).items()),
        failure=job.get("failureMessage", ""),
        data=data,
        model_arn=job.get("outputModelArn") or "",
        is_running=job["status"] in RUNNING,
        again=_again(job),
    )


def losses(points: Mapping[str, Sequence[tuple[datetime, float]]], name: str) -> list[ChartPoint]:
    """Losses by step: each is told with the step of the same second, else with the last step before it."""
    steps = sorted(points.get("Step", ()))
    found, at, step = [], 0, 0.0
    for moment, loss in sorted(points.get(name, ())):
        while at < len(steps) and steps[at][0] <= moment:
            step = steps[at][1]
            at += 1
        found.append(ChartPoint(step, loss))
    return found


def _again(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    validators = job.get("validationDataConfig", {}).get("validators", [])
    form = {
        "model": model_id(job["baseModelArn"]),
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


def _figures(
    job: Mapping[str, Any], points: Mapping[str, Sequence[tuple[datetime, float]]], language: str
) -> list[tuple[str, str]]:
    last = {name: max(values)[1] for name, values in points.items() if values}
    found = []
    if "Step" in last:
        found.append(("jobs.Step", f"{last['Step']:,.0f}"))
    losses_known = [name for name in ("TrainingLoss", "ValidationLoss") if name in last]
    found += [(f"jobs.{name}", f"{last[name]:.3f}") for name in losses_known]
    if "TokensPerSecond" in last:
        found.append(("jobs.TokensPerSecond", f"{last['TokensPerSecond']:,.0f}"))
    if "ResidentBytes" in last:
        found.append(("jobs.ResidentBytes", f"{last['ResidentBytes'] / 2**30:.2f} GiB"))
    if "SecondsLeft" in last and job["status"] == "InProgress":
        found.append(("jobs.SecondsLeft", duration(last["SecondsLeft"], language)))
    return found
