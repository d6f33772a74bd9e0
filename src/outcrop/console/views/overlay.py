"""Several jobs over one another as plain values: one measure on one chart, a line for each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from outcrop.console.views.curve import Curve
from outcrop.console.views.job_views import told_measure, told_tick
from outcrop.console.views.loss_chart import LossChart, loss_chart

MOST_JOBS = 6
"There are so many colours that can be told apart."


class OverlaidJob(NamedTuple):
    """A job of the overlay: its line's number, counted from 1, and what differs between jobs."""

    number: int
    id: str
    arn: str
    name: str
    status: str
    last: str
    hyper: list[str]
    "The values of the hyperparameters that are not the same for all, in the order of `Overlay.names`."


class Overlay(NamedTuple):
    """Everything that the page of an overlay shows."""

    chart: LossChart | None
    jobs: list[OverlaidJob]
    names: list[str]
    refused: list[str]


def overlay(found: Sequence[tuple[Mapping[str, Any], Mapping[str, Curve], str]], measure: str) -> Overlay:
    """The overlay of jobs with their curves, and of whom why not, by one measure."""
    hypers = [job.get("hyperParameters", {}) for job, _, _ in found]
    every = sorted({name for hyper in hypers for name in hyper})
    names = [name for name in every if len({hyper.get(name) for hyper in hypers}) > 1]
    series = [(job["jobName"], curves[measure].points()) for job, curves, _ in found]
    written = told_measure(measure)
    jobs = []
    for number, (job, curves, _) in enumerate(found, start=1):
        last = curves[measure].last
        jobs.append(
            OverlaidJob(
                number=number,
                id=job["jobArn"].rsplit("/", 1)[-1],
                arn=job["jobArn"],
                name=job["jobName"],
                status=job["status"],
                last="" if last is None else written(last.loss),
                hyper=[str(job.get("hyperParameters", {}).get(name, "")) for name in names],
            )
        )
    chart = loss_chart(series, told=written, told_tick=told_tick(measure), keep_empty=True)
    return Overlay(chart, jobs, names, [sentence for _, _, sentence in found if sentence])
