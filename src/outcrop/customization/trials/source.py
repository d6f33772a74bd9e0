"""Where the trials of a job come from: proposals of its search, and the rules that stop the hopeless.

A proposal follows from the seed, the trial's number and what the study knows by then; so does every decision to stop.
One seed on one machine is one search, also where the worker was killed on the way.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Protocol

from outcrop.customization.choices.search_space import Pruner, SearchPlan
from outcrop.customization.trials.study import LossPoint, Study, StudyTrial, curve_of
from outcrop.search import ranges
from outcrop.search.curves import ObjectiveCurve
from outcrop.search.early_stops import HyperbandRule, MedianRule, StopRule
from outcrop.search.proposals import TriedPoint, propose
from outcrop.search.strategy import HyperbandResources, Objective
from outcrop.training.data import TrainingData
from outcrop.training.metrics import EvaluationMetrics, Hooks, RunStart, Score
from outcrop.training.task import TrainingTask
from outcrop.training.trials.trial import Trial, TrialEnd, TrialOutcome

RESULT = "result.json"
"Beside the weights of a trial that may be the best: its result, for a worker that takes the job up."
_LOSS = Objective(metric="validation loss", maximize=False)
_WATCHED_FROM = 2
"Evaluations of a trial before it is held against the median: at the first the rate is still rising."
_LEAST_RUNG = 1


class SearchReporter(Protocol):
    """Told what happens in a search, and asked whether it is to stop."""

    def on_data(self, data: TrainingData) -> None: ...

    def on_plan(self, trial: StudyTrial, text: str) -> None: ...

    def on_start(self, start: RunStart) -> None: ...

    def on_trial(self, trial: StudyTrial, study: Study) -> None: ...

    def on_note(self, sentence: str) -> None: ...

    def should_stop(self) -> bool: ...


class SearchedTrials:
    """The trials of one search, which its study remembers."""

    def __init__(
        self,
        plan: SearchPlan,
        study: Study,
        task_of: Callable[[StudyTrial], TrainingTask],
        reporter: SearchReporter,
        *,
        evaluations: int,
    ) -> None:
        """`evaluations` is the most that a trial has after its first step."""
        self._plan = plan
        self._study = study
        self._task_of = task_of
        self._reporter = reporter
        self._rule = _rule(plan, evaluations)
        self._has_replayed = False

    def under_way(self) -> list[Trial]:
        return [self._trial(each) for each in self._study.trials if each.end is None]

    def next(self, entered: int) -> Trial | None:
        values = self._proposed(len(self._study.trials))
        if values is None:
            return None
        trial = StudyTrial(number=len(self._study.trials), values=values, entered=entered)
        self._study.put(trial)
        self._study.save()
        return self._trial(trial)

    def wants(self, outcome: TrialOutcome) -> bool:
        best = self._study.best
        return (
            outcome.end is TrialEnd.COMPLETED
            and outcome.loss is not None
            and (best is None or best.loss is None or outcome.loss < best.loss)
        )

    def wants_records(self, outcome: TrialOutcome) -> bool:
        return self.wants(outcome) or (outcome.number == 0 and outcome.end is TrialEnd.COMPLETED)

    def records(self, number: int, scores: Sequence[Score]) -> None:
        self._study.records[number] = [(score.nll, score.num_tokens) for score in scores]

    def ended(self, outcome: TrialOutcome) -> None:
        before, is_best = self._study.best, self.wants(outcome)
        trial = self._study.trials[outcome.number].with_outcome(outcome)
        if is_best:
            assert outcome.result is not None, "it completed"
            folder = self._task_of(trial).output_dir.parent
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RESULT).write_text(json.dumps(asdict(outcome.result)))
        self._study.put(trial)
        self._study.records = {
            number: each for number, each in self._study.records.items() if number in (0, self._best_number())
        }
        self._study.save()
        if is_best and before is not None:
            shutil.rmtree(self._task_of(before).output_dir.parent, ignore_errors=True)
        self._reporter.on_trial(trial, self._study)

    def should_stop(self) -> bool:
        return self._reporter.should_stop()

    def note(self, sentence: str) -> None:
        self._reporter.on_note(sentence)

    def _best_number(self) -> int | None:
        best = self._study.best
        return None if best is None else best.number

    def _trial(self, trial: StudyTrial) -> Trial:
        number = trial.number

        def on_evaluation(told: EvaluationMetrics) -> None:
            now = self._study.trials[number]
            earlier = tuple(point for point in now.curve if point.step < told.step)
            self._study.put(replace(now, curve=earlier + curve_of([told])))

        def on_start(start: RunStart) -> None:
            self._study.put(replace(self._study.trials[number], curve=curve_of(start.evaluations)))
            self._reporter.on_start(start)

        hooks = Hooks(
            on_data=self._reporter.on_data,
            on_plan=lambda text: self._reporter.on_plan(trial, text),
            on_start=on_start,
            on_evaluation=on_evaluation,
            on_note=lambda sentence: self._reporter.on_note(f"trial {number}: {sentence}"),
            should_stop=lambda: self._is_hopeless(number),
        )
        return Trial(number=number, task=self._task_of(trial), entered=trial.entered, hooks=hooks)

    def _proposed(self, number: int) -> Mapping[str, str] | None:
        """The values of the trial with this number; the first has the job's own."""
        if number >= self._plan.trials:
            return None
        if number == 0:
            return {}
        space = self._plan.space
        values = propose(
            space,
            [tried for trial in self._study.trials if (tried := _tried(space, trial)) is not None],
            strategy=self._plan.strategy,
            seed=self._plan.seed,
            number=number - 1,
            most=self._plan.trials - 1,
        )
        return None if values is None else ranges.texts(space, values)

    def _is_hopeless(self, number: int) -> bool:
        if self._rule is None or number == 0:  # the first is what the others are compared with
            return False
        self._replay(self._rule)
        curves = {trial.number: _objective_curve(trial) for trial in self._study.trials if trial.curve}
        own = curves.pop(number, None)
        if own is None or (self._plan.pruner is Pruner.MEDIAN and own.epoch < _WATCHED_FROM):
            return False
        return bool(self._rule.hopeless({number: own}, curves))

    def _replay(self, rule: StopRule) -> None:
        """Tell a rule of a worker that takes the search up what its predecessor was told, in the same order."""
        if self._has_replayed:
            return
        self._has_replayed = True
        trials = [trial for trial in self._study.trials if trial.curve]
        moments = {self._moment(trial, point) for trial in trials for point in trial.curve}
        for moment in sorted(moments):
            known = (
                (trial, tuple(point for point in trial.curve if self._moment(trial, point) <= moment))
                for trial in trials
            )
            rule.hopeless({}, {trial.number: _objective_curve(replace(trial, curve=c)) for trial, c in known if c})

    def _moment(self, trial: StudyTrial, point: LossPoint) -> tuple[int, int]:
        """The moment at which a loss was told.

        It is the number of steps that trials side by side had taken together, or else the trial and its step.
        """
        return (trial.number, point.step) if self._study.side_by_side else (0, trial.entered + point.step)


def _rule(plan: SearchPlan, evaluations: int) -> StopRule | None:
    match plan.pruner:
        case Pruner.MEDIAN:
            return MedianRule(_LOSS)
        case Pruner.HYPERBAND if evaluations > _LEAST_RUNG:
            resources = HyperbandResources(least=_LEAST_RUNG, most=evaluations)
            return HyperbandRule(_LOSS, resources, name=f"seed {plan.seed}")
        case _:
            return None


def _tried(space: ranges.Space, trial: StudyTrial) -> TriedPoint | None:
    values = ranges.values(space, trial.values)
    if values is None:
        return None  # the first one's, which the search has not chosen
    return TriedPoint(values=values, cost=trial.loss if trial.end else None, has_ended=trial.end is not None)


def _objective_curve(trial: StudyTrial) -> ObjectiveCurve:
    curve = ObjectiveCurve()
    for point in trial.curve:
        curve.add(1, point.loss)
    return curve
