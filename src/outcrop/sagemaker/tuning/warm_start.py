"""Warm starts: what a tuning job knows before its first training job, from tuning jobs that have ended.

With identical data and algorithm their objectives count like own ones. With other data they cannot be compared, so
their best points are only the first that are tried.
"""

from collections.abc import Sequence

from outcrop.jobs.jobs import Jobs
from outcrop.sagemaker.tuning.children import TunedJob
from outcrop.sagemaker.tuning.plan import TrainingDefinition
from outcrop.search import ranges
from outcrop.search.proposals import TriedPoint

_MOST_FIRST = 5


def known(jobs: Jobs, parents: Sequence[str], definition: TrainingDefinition) -> list[TriedPoint]:
    """The points of the parents' training jobs, as far as they lie in the space; a deleted parent has none.

    Hyperparameters that were static there and have a range here, or the other way round, are looked up alike.
    """
    found = []
    for parent in parents:
        for record in jobs.children(parent):
            child = TunedJob.of(record)
            values = ranges.values(definition.space, record.document["request"].get("HyperParameters", {}))
            if child is not None and child.value is not None and values is not None:
                found.append(TriedPoint(values=values, cost=definition.objective.cost(child.value)))
    return found


def first_points(points: Sequence[TriedPoint], *, most: int) -> list[dict[str, ranges.Value]]:
    """The best of these points, each once, for the beginning of a search of `most` training jobs."""
    ordered = sorted((each for each in points if each.cost is not None), key=lambda each: each.cost or 0.0)
    found: list[dict[str, ranges.Value]] = []
    for each in ordered:
        if each.values not in found:
            found.append(each.values)
    return found[: min(_MOST_FIRST, most // 2)]
