"""The outcome of a tuning job so far: counts of training jobs, the best, and those without a gain."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from outcrop.sagemaker.training_states import TrainingStatus
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.sagemaker.tuning.states import ObjectiveStatus
from outcrop.search.strategy import Objective

_LEAST_IMPROVEMENT = 0.01
"Of the best value so far; less is no improvement."


def told(children: Sequence[TunedJob]) -> dict[str, Any]:
    """The outcome as the record of a tuning job keeps it, and DescribeHyperParameterTuningJob tells."""
    found = best(children)
    return {
        "trainingJobs": status_counters(children),
        "objectives": objective_counters(children),
        "best": None if found is None else found.summary(),
        "notImproving": not_improving(children),
    }


def status_counters(children: Iterable[TunedJob]) -> dict[str, int]:
    """TrainingJobStatusCounters; a failed training job is not tried again."""
    by_status = Counter(each.status for each in children)
    return {
        "Completed": by_status[TrainingStatus.COMPLETED],
        "InProgress": by_status[TrainingStatus.IN_PROGRESS] + by_status[TrainingStatus.STOPPING],
        "RetryableError": 0,
        "NonRetryableError": by_status[TrainingStatus.FAILED],
        "Stopped": by_status[TrainingStatus.STOPPED],
    }


def objective_counters(children: Iterable[TunedJob]) -> dict[str, int]:
    """ObjectiveStatusCounters."""
    by_status = Counter(each.objective_status for each in children)
    return {status.value: by_status[status] for status in ObjectiveStatus}


def best(children: Iterable[TunedJob]) -> TunedJob | None:
    """The training job with the best objective, of equal ones the first."""
    known = [(each.objective.cost(each.value), each.number, each) for each in children if each.value is not None]
    return min(known, key=lambda entry: entry[:2])[2] if known else None


def overall_best(document: Mapping[str, Any], objective: Objective) -> dict[str, Any] | None:
    """The summary of the best training job, with those of the tuning jobs that this one goes on from."""
    found = [(document.get("outcome") or {}).get("best"), document.get("bestBefore")]
    return best_of([each for each in found if each is not None], objective)


def best_of(summaries: Sequence[dict[str, Any]], objective: Objective) -> dict[str, Any] | None:
    """The summary with the best objective."""
    return min(
        summaries,
        key=lambda each: objective.cost(each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]),
        default=None,
    )


def not_improving(children: Iterable[TunedJob]) -> int:
    """How many training jobs have ended since one was better than all before it by a hundredth at least."""
    lowest: float | None = None
    since = 0
    for each in sorted((each for each in children if not each.is_running), key=lambda each: (each.ended, each.number)):
        cost = None if each.value is None else each.objective.cost(each.value)
        if cost is not None and (lowest is None or cost <= lowest - _LEAST_IMPROVEMENT * abs(lowest)):
            since = 0
        else:
            since += 1
        if cost is not None and (lowest is None or cost < lowest):
            lowest = cost
    return since
