"""SageMaker's training jobs and tuning jobs as plain values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.language import said
from outcrop.console.views.amounts import age, duration, short_name
from outcrop.console.views.loss_chart import ChartPoint, LossChart, loss_chart
from outcrop.console.views.metric_chart import MetricChart, amount, metric_chart
from outcrop.console.views.study_view import StudyPage, study_page

RUNNING = frozenset({"InProgress", "Stopping"})
_OF_TOOLKIT = "sagemaker_"
_LONGEST_VALUE = 300


class TrainingRow(NamedTuple):
    """A training job, or a tuning job, in a list."""

    name: str
    status: str
    age: str
    took: str


class StatusTransition(NamedTuple):
    """A secondary status that a job went through, and how long it lasted."""

    status: str
    message: str
    took: str
    is_now: bool


class TrainingChannel(NamedTuple):
    """A channel of data, and where it comes from."""

    name: str
    place: str


class TrainingPage(NamedTuple):
    """Everything that the page of one training job shows, but its log."""

    row: TrainingRow
    transitions: list[StatusTransition]
    charts: list[MetricChart]
    channels: list[TrainingChannel]
    hyper: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    "Keys of texts with values."
    failure: str
    tuning_job: str
    is_running: bool


class TunedTrial(NamedTuple):
    """A training job of a tuning job: its objective and the values that it tried."""

    name: str
    status: str
    objective: str
    tried: list[str]
    is_best: bool


class TuningPage(NamedTuple):
    """Everything that the page of one tuning job shows."""

    row: TrainingRow
    objective: str
    strategy: str
    counts: list[tuple[str, str]]
    names: list[str]
    "The hyperparameters that are searched for, in the columns of the trials."
    trials: list[TunedTrial]
    chart: LossChart | None
    study: StudyPage
    "Its trials across parallel axes."
    failure: str
    is_running: bool


def training_row(job: Mapping[str, Any], now: datetime, language: str) -> TrainingRow:
    """A row of a training job's summary, or of its description."""
    return _row(job, "TrainingJob", job.get("TrainingEndTime"), now, language)


def tuning_row(job: Mapping[str, Any], now: datetime, language: str) -> TrainingRow:
    """A row of a tuning job's summary, or of its description."""
    return _row(job, "HyperParameterTuningJob", job.get("HyperParameterTuningEndTime"), now, language)


def metric_names(job: Mapping[str, Any]) -> list[str]:
    """The metrics that a job's script is searched for."""
    return [each["Name"] for each in job["AlgorithmSpecification"].get("MetricDefinitions", [])]


def training_page(
    job: Mapping[str, Any], points: Mapping[str, Sequence[tuple[datetime, float]]], now: datetime, language: str
) -> TrainingPage:
    """The page of a training job from its description and the points of its metrics."""
    began = min((values[0][0] for values in points.values() if values), default=job["CreationTime"])
    last = {each["MetricName"]: each["Value"] for each in job.get("FinalMetricDataList", [])}
    charts = [metric_chart(name, points.get(name, ()), began) for name in metric_names(job)]
    # Points are kept for some days, the last values as long as the job.
    charts = [each._replace(last=amount(last[each.name])) if each.name in last else each for each in charts]
    resources = job.get("ResourceConfig", {})
    facts = [
        ("sagemaker.image", job["AlgorithmSpecification"].get("TrainingImage", "")),
        ("sagemaker.instances", f"{resources.get('InstanceCount', 1)} × {resources.get('InstanceType', '')}"),
        ("sagemaker.role", job.get("RoleArn", "")),
        ("data.output", job.get("OutputDataConfig", {}).get("S3OutputPath", "")),
        ("sagemaker.artifact", job.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")),
    ]
    hyper = [(name, value[:_LONGEST_VALUE]) for name, value in sorted(job.get("HyperParameters", {}).items())]
    return TrainingPage(
        row=training_row(job, now, language),
        transitions=_transitions(job, now, language),
        charts=charts,
        channels=[TrainingChannel(each["ChannelName"], _place(each)) for each in job.get("InputDataConfig", [])],
        hyper=[pair for pair in hyper if not pair[0].startswith(_OF_TOOLKIT)],
        facts=[(key, value) for key, value in facts if value],
        failure=job.get("FailureReason", ""),
        tuning_job=short_name(job.get("TuningJobArn", "")),
        is_running=job["TrainingJobStatus"] in RUNNING,
    )


def tuning_page(
    job: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], now: datetime, language: str
) -> TuningPage:
    """The page of a tuning job from its description and the summaries of its training jobs."""
    config = job["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective", {})
    best = job.get("BestTrainingJob", {}).get("TrainingJobName", "")
    names = sorted({name for each in trials for name in each.get("TunedHyperParameters", {})})
    counts = job.get("TrainingJobStatusCounters", {})
    return TuningPage(
        row=tuning_row(job, now, language),
        objective=f"{objective.get('MetricName', '')} · {objective.get('Type', '')}".strip(" ·"),
        strategy=config.get("Strategy", ""),
        counts=[(f"sagemaker.count.{key}", f"{value:,}") for key, value in counts.items()],
        names=names,
        trials=_trials(trials, names, best),
        study=study_page(_study(trials, best), measure=objective.get("MetricName", "")),
        chart=_progress(trials, language, maximize=objective.get("Type") == "Maximize"),
        failure=job.get("FailureReason", ""),
        is_running=job["HyperParameterTuningJobStatus"] in RUNNING,
    )


def _row(job: Mapping[str, Any], kind: str, end: datetime | None, now: datetime, language: str) -> TrainingRow:
    status = job[f"{kind}Status"]
    end = end or (now if status in RUNNING else job.get("LastModifiedTime"))
    took = duration((end - job["CreationTime"]).total_seconds(), language) if end else ""
    return TrainingRow(job[f"{kind}Name"], status, age(job["CreationTime"], now, language), took)


def _transitions(job: Mapping[str, Any], now: datetime, language: str) -> list[StatusTransition]:
    found = []
    for each in job.get("SecondaryStatusTransitions", []):
        end = each.get("EndTime")
        is_now = end is None and job["TrainingJobStatus"] in RUNNING
        until = end or (now if is_now else None)
        took = duration((until - each["StartTime"]).total_seconds(), language) if until else ""
        found.append(StatusTransition(each["Status"], each.get("StatusMessage", ""), took, is_now))
    return found


def _place(channel: Mapping[str, Any]) -> str:
    source = channel.get("DataSource", {})
    if "S3DataSource" in source:
        return str(source["S3DataSource"]["S3Uri"])
    return ", ".join(str(each) for each in source.values())


def _objective(trial: Mapping[str, Any]) -> float | None:
    told = trial.get("FinalHyperParameterTuningJobObjectiveMetric")
    return None if told is None else float(told["Value"])


def _trials(trials: Sequence[Mapping[str, Any]], names: Sequence[str], best: str) -> list[TunedTrial]:
    found = []
    for each in trials:
        value, tried = _objective(each), each.get("TunedHyperParameters", {})
        found.append(
            TunedTrial(
                each["TrainingJobName"],
                each["TrainingJobStatus"],
                "" if value is None else amount(value),
                [_short(tried.get(name, "")) for name in names],
                each["TrainingJobName"] == best,
            )
        )
    return found


def _study(trials: Sequence[Mapping[str, Any]], best: str) -> dict[str, Any]:
    """The trials in the form of a study, in the order of their beginnings."""
    return {
        "trials": [
            {
                "number": number,
                "values": {name: value.strip('"') for name, value in each.get("TunedHyperParameters", {}).items()},
                "loss": _objective(each),
                "end": each["TrainingJobStatus"],
                "steps": 0,
                "best": each["TrainingJobName"] == best,
            }
            for number, each in enumerate(sorted(trials, key=lambda each: each["CreationTime"]), start=1)
        ]
    }


def _short(text: str) -> str:
    """A tried value as a person reads it: a number with four digits that count."""
    try:
        return amount(float(text.strip('"')))
    except ValueError:
        return text.strip('"')


def _progress(trials: Sequence[Mapping[str, Any]], language: str, *, maximize: bool) -> LossChart | None:
    """The objective of each trial in the order of their beginnings, and the best so far."""
    values = [_objective(each) for each in sorted(trials, key=lambda each: each["CreationTime"])]
    points = [ChartPoint(number, value) for number, value in enumerate(values, start=1) if value is not None]
    best, so_far = None, []
    for point in points:
        better = max if maximize else min
        best = point.loss if best is None else better(best, point.loss)
        so_far.append(ChartPoint(point.step, best))
    names = (said(language, "sagemaker.best_so_far"), said(language, "sagemaker.each_trial"))
    return loss_chart(list(zip(names, (so_far, points), strict=True)))
