"""Rules that stop training jobs before their end: the median of earlier ones, and Hyperband's successive halving.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import optuna

from outcrop.search.curves import ObjectiveCurve
from outcrop.search.strategy import HyperbandResources, Objective

_LEAST_EARLIER = 3
"Training jobs that must have come as far: a median of fewer says little."


class StopRule(Protocol):
    """A rule that finds the training jobs of one definition that need not go on."""

    def hopeless(self, running: Mapping[int, ObjectiveCurve], ended: Mapping[int, ObjectiveCurve]) -> list[int]:
        """The numbers of those that run and need not go on, given the curves of all by number, from 0."""
        ...


class MedianRule:
    """Stops what is worse than half of the earlier ones were up to the same epoch."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def hopeless(self, running: Mapping[int, ObjectiveCurve], ended: Mapping[int, ObjectiveCurve]) -> list[int]:
        earlier = list(ended.values())
        return [number for number, curve in running.items() if self._is_worse(curve, earlier)]

    def _is_worse(self, curve: ObjectiveCurve, earlier: Sequence[ObjectiveCurve]) -> bool:
        if not curve.epoch or len(earlier) < _LEAST_EARLIER:
            return False
        # Values come by the second, so a curve may pass the last epoch of the earlier ones between two looks.
        reached = sorted((each.epoch for each in earlier), reverse=True)[_LEAST_EARLIER - 1]
        epoch = min(curve.epoch, reached)
        if not epoch:
            return False
        averages = [each.running_average(epoch) for each in earlier]
        costs = [self._objective.cost(average) for average in averages if average is not None]
        return self._objective.cost(curve.value(epoch)) > statistics.median(costs)


class RungReport(NamedTuple):
    """A value that brought a training job to a rung."""

    number: int
    "Of the training job, from 0."
    epoch: int
    cost: float


class HyperbandRule:
    """Stops what is not among the best third at any rung of its bracket: https://arxiv.org/abs/1603.06560

    Rungs are numbers of epochs. A curve is held against those that came to the same rung before it, so the order in
    which values are told decides. Whoever takes a search up tells them in the order in which they came, or gives the
    reports that its predecessor kept. What fell once stays fallen, whichever curve was asked about when it fell.
    """

    def __init__(
        self, objective: Objective, resources: HyperbandResources, *, name: str, reports: Sequence[RungReport] = ()
    ) -> None:
        """`name` shares training jobs out among brackets, together with their numbers; `reports` are the predecessor's
        in their order."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._objective = objective
        self._most = resources.most
        pruner = optuna.pruners.HyperbandPruner(min_resource=resources.least, max_resource=resources.most)
        self._study = optuna.create_study(study_name=name, pruner=pruner)
        self._trials: list[optuna.Trial] = []
        self._epochs: list[int] = []
        "The last epoch of each curve that its trial has been told."
        self._fallen: set[int] = set()
        self.reports: list[RungReport] = []
        "The values that decided anything so far: all that a successor has to know, in the order in which they came."
        for report in reports:
            self._tell(report)

    def hopeless(self, running: Mapping[int, ObjectiveCurve], ended: Mapping[int, ObjectiveCurve]) -> list[int]:
        curves = {**running, **ended}
        for number in sorted(curves):
            self._tell_curve(number, curves[number])
        return [number for number in running if number in self._fallen or running[number].epoch > self._most]

    def _tell_curve(self, number: int, curve: ObjectiveCurve) -> None:
        for point in curve.points:
            if point.epoch > self._told(number):
                self._tell(RungReport(number, point.epoch, self._objective.cost(point.latest)))

    def _told(self, number: int) -> int:
        return self._epochs[number] if number < len(self._epochs) else 0

    def _tell(self, report: RungReport) -> None:
        number = report.number
        while len(self._trials) <= number:
            self._trials.append(self._study.ask())
            self._epochs.append(0)
        before = self._rungs(number)
        self._trials[number].report(report.cost, report.epoch)
        self._epochs[number] = report.epoch
        falls = self._trials[number].should_prune()
        if falls:
            self._fallen.add(number)
        if falls or self._rungs(number) > before:
            self.reports.append(report)

    def _rungs(self, number: int) -> int:
        """How many rungs a trial has come to, by which the pruner remembers it."""
        return len(self._study.get_trials(deepcopy=False)[number].system_attrs)
