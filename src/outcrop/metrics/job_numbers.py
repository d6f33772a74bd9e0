"""Numbers that jobs report, as points under the job's ARN: of any kind of job, under the names it gives them.

`job.report("step 3", training_loss=1.9, tokens_per_second=812.0)` becomes a point of `TrainingLoss` and one of
`TokensPerSecond`. A resumed job reports some steps a second time: they are points of their own times.
"""

from collections.abc import Mapping

from outcrop.clock import Clock
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, Unit, point, series

NAMESPACE = "Outcrop/Jobs"
DIMENSION = "JobArn"


class JobNumbers:
    """What a worker tells of the numbers of its jobs."""

    def __init__(self, points: Points, clock: Clock) -> None:
        self._points = points
        self._clock = clock

    def __call__(self, job_arn: str, numbers: Mapping[str, float]) -> None:
        now = self._clock.now()
        for name, number in numbers.items():
            metric = metric_of(name)
            of = series(NAMESPACE, metric, {DIMENSION: job_arn}, unit=_unit(metric))
            self._points.add_many([point(of, number, now, Resolution.SECOND)])


def metric_of(name: str) -> str:
    """`training_loss` as CloudWatch would write it: `TrainingLoss`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _unit(metric: str) -> str:
    if metric.endswith("PerSecond"):
        return Unit.PER_SECOND
    if metric.endswith("Bytes"):
        return Unit.BYTES
    return Unit.SECONDS if metric.startswith("Seconds") else Unit.NONE
