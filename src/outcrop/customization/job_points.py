"""Points of a job: what its events tell of its course, as series over time under the job's ARN."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from outcrop.metrics.series import Point, Resolution, Unit, point, series

NAMESPACE = "Outcrop/Jobs"
DIMENSION = "JobArn"
_OF_EVENT: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "step": {
        "step": ("Step", Unit.COUNT),
        "loss": ("TrainingLoss", Unit.NONE),
        "learning_rate": ("LearningRate", Unit.NONE),
        "grad_norm": ("GradientNorm", Unit.NONE),
        "tokens_per_s": ("TokensPerSecond", Unit.PER_SECOND),
        "seconds_left": ("SecondsLeft", Unit.SECONDS),
        "resident_bytes": ("ResidentBytes", Unit.BYTES),
    },
    "evaluation": {"loss": ("ValidationLoss", Unit.NONE)},
}
"What each member of an event is called as a metric, and its unit."


def of_event(job_arn: str, event: Mapping[str, Any]) -> Iterator[Point]:
    """The points of one event; none of an event that tells no numbers over time."""
    at = datetime.fromisoformat(event["time"])
    for member, (metric, unit) in _OF_EVENT.get(event["event"], {}).items():
        of = series(NAMESPACE, metric, {DIMENSION: job_arn}, unit=unit)
        yield point(of, event[member], at, Resolution.SECOND)
