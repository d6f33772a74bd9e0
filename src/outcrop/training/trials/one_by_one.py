"""Trials one after the other, each by the ordinary loop: where they cannot learn side by side."""

import shutil
from collections.abc import Callable
from dataclasses import replace

from outcrop.training.divergence import DivergedError
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask
from outcrop.training.trials.trial import Trial, TrialEnd, TrialOutcome, TrialSource

TrainAlone = Callable[[TrainingTask, Hooks], TrainingResult]
"What trains one task, to its end or where it is asked to stop."


def train(source: TrialSource, train_alone: TrainAlone) -> bool:
    """Train what the source gives. False when it was asked to stop before the end; a trial under way goes on later."""
    waiting = source.under_way()
    while not source.should_stop():
        trial = waiting.pop(0) if waiting else source.next(0)
        if trial is None:
            return True
        outcome = _outcome(trial, source, train_alone)
        if outcome is None:
            return False
        if not source.wants(outcome):
            shutil.rmtree(trial.task.output_dir, ignore_errors=True)
        source.ended(outcome)
    return False


def _outcome(trial: Trial, source: TrialSource, train_alone: TrainAlone) -> TrialOutcome | None:
    """None for one that was interrupted."""
    hopeless = trial.hooks.should_stop

    def should_stop() -> bool:
        return source.should_stop() or hopeless()

    hooks = replace(trial.hooks, should_stop=should_stop, for_good=lambda: False)
    try:
        result = train_alone(trial.task, hooks)
    except DivergedError as error:
        return TrialOutcome(number=trial.number, end=TrialEnd.FAILED, message=error.message)
    if result.status == "completed":
        return TrialOutcome(number=trial.number, end=TrialEnd.COMPLETED, result=result)
    if source.should_stop():
        return None
    return TrialOutcome(number=trial.number, end=TrialEnd.PRUNED, result=result)
