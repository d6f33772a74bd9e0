"""A job that searches, from its first trial to the best one's model.

Trials learn side by side from one base in memory where they can, else one after the other by the ordinary loop; the
losses are the same. What is known stands in the study, in the run's folder, and in the job's output as study.json.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from outcrop.customization import memory
from outcrop.customization.choices import hyperparameters, initialize
from outcrop.customization.choices.search_space import AT_ONCE, SearchPlan
from outcrop.customization.output.reporter import JobReporter
from outcrop.customization.trials import results
from outcrop.customization.trials.source import RESULT, SearchedTrials
from outcrop.customization.trials.study import Study, StudyTrial
from outcrop.customization.work import Work
from outcrop.errors import Invalid
from outcrop.network.adapters.method import Full, LoRA
from outcrop.search.ranges import ContinuousRange, IntegerRange
from outcrop.training.data import TrainingData
from outcrop.training.metrics import Hooks, RunStart, TrainingResult
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.trials import network, one_by_one, side_by_side
from outcrop.training.trials.trial import CannotShareError

_FOLDER = "trials"
_MOST_PER_EPOCH = 100
_OF_THE_BASE = ("outcrop.gradientCheckpointing", "outcrop.dropout")
_OF_THE_START = ("outcrop.method", "outcrop.rank", "outcrop.alpha", "outcrop.targets", "outcrop.rslora")


@dataclass(frozen=True, kw_only=True)
class FoundTrial:
    """The best trial of a search, as it would have been trained alone."""

    task: TrainingTask
    result: TrainingResult
    values: dict[str, str]
    "The hyperparameters that were chosen for it."


def search(
    work: Work,
    task: TrainingTask,
    plan: SearchPlan,
    reporter: JobReporter,
    train_alone: Callable[[TrainingTask, Hooks], TrainingResult],
) -> FoundTrial | None:
    """Search, and put the best trial's model where the job's shall be. None when it was asked to stop before the end.

    Raises Invalid when no trial completed, with what became of them.
    """
    study = Study.open(work.run_dir)
    trials = _Trials(work, task)
    told = _SearchReporter(work, reporter, plan)
    source = SearchedTrials(plan, study, trials.task_of, told, evaluations=_evaluations(plan, task.hyper))
    if not _train(work, task, plan, source, study, told, train_alone):
        return None
    best = study.best
    if best is None:
        messages = "; ".join(f"trial {each.number}: {each.message or each.end}" for each in study.trials)
        raise Invalid(f"No trial completed ({messages}). Search other ranges, smaller rates above all.")
    chosen = trials.task_of(best)
    result = results.read(chosen.output_dir.parent / RESULT)
    if chosen.output_dir.exists():
        task.output_dir.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(task.output_dir, ignore_errors=True)
        chosen.output_dir.rename(task.output_dir)
    return FoundTrial(
        task=replace(chosen, output_dir=task.output_dir, run_dir=task.run_dir), result=result, values=dict(best.values)
    )


def _train(
    work: Work,
    task: TrainingTask,
    plan: SearchPlan,
    source: SearchedTrials,
    study: Study,
    told: "_SearchReporter",
    train_alone: Callable[[TrainingTask, Hooks], TrainingResult],
) -> bool:
    why = study.side_by_side or _obstacle(work, task, plan)
    if why is None:
        try:
            return side_by_side.train(task, source, places=plan.at_once)
        except CannotShareError as refused:
            why = refused.message
    if why != study.side_by_side:
        study.side_by_side = why
        study.save()
        told.on_note(f"trials are trained one after the other: {why}")
    return one_by_one.train(source, train_alone)


def _obstacle(work: Work, task: TrainingTask, plan: SearchPlan) -> str | None:
    """Why the trials of this search cannot share a base, as far as that is known before it is loaded."""
    if plan.at_once == 1:
        return f"{AT_ONCE} is 1"
    if work.house.settings.devices > 1:
        return "OUTCROP_DEVICES is more than 1, and side by side they would use one device"
    for name in _OF_THE_BASE:
        if name in plan.space:
            return f"{name} is searched, and must be alike for trials that share a base"
    if task.parent_adapter is not None and any(name in plan.space for name in _OF_THE_START):
        return "with another method or rank the custom model that is trained further is merged into the base first"
    methods = plan.space.get("outcrop.method")
    if methods is not None and methods.read("full") is not None:
        return "outcrop.method full is searched, which trains the base itself"
    return network.obstacle(task)


class _Trials:
    """The tasks of trials: the job's own, with other hyperparameters and places."""

    def __init__(self, work: Work, task: TrainingTask) -> None:
        self._work = work
        self._task = task

    def task_of(self, trial: StudyTrial) -> TrainingTask:
        """Raises Invalid for values that do not go together."""
        folder = self._work.run_dir / _FOLDER / str(trial.number)
        return replace(
            self._task,
            hyper=self._hyper(trial) if trial.values else self._task.hyper,
            run_dir=folder / "checkpoints",
            # A network of its own below an adapter is named after the folder.
            output_dir=folder / self._task.output_dir.name,
        )

    def _hyper(self, trial: StudyTrial) -> TrainingHyper:
        work, start = self._work, self._work.start
        values = {**work.record.document["hyperParameters"], **trial.values}
        rate = memory.suitable_rate(start.base, initialize.random_start(values))
        resolved = hyperparameters.resolve(
            start.base.hyperparameters, values, recommended_rate=rate, parent=start.method
        )
        return hyperparameters.with_threads(resolved.hyper, work.house.settings.threads)


class _SearchReporter:
    """Tells a search through the reporter of its job."""

    def __init__(self, work: Work, job: JobReporter, plan: SearchPlan) -> None:
        self._work = work
        self._job = job
        self._plan = plan
        self._has_data = self._has_plan = self._has_start = False

    def on_data(self, data: TrainingData) -> None:
        if not self._has_data:
            self._has_data = True
            self._job.beside_bytes = self._beside_bytes()
            self._job.on_data(data)

    def on_plan(self, trial: StudyTrial, text: str) -> None:
        if not self._has_plan:
            self._has_plan = True
            searched = ", ".join(self._plan.space)
            self._job.on_plan(f"search       {self._plan.trials} trials of {searched}\n{text}")
        values = ", ".join(f"{name} {value}" for name, value in trial.values.items())
        self._work.journal.report(f"trial {trial.number}: {values or 'as the job is'}")

    def on_start(self, start: RunStart) -> None:
        if not self._has_start:
            self._has_start = True
            self._work.journal.on_start(replace(start, steps=(), evaluations=()))

    def on_trial(self, trial: StudyTrial, study: Study) -> None:
        ended = sum(each.end is not None for each in study.trials)
        best = study.best
        told = "" if best is None else f", the lowest loss {best.loss:.4f} of trial {best.number}"
        self._work.journal.on_trial(
            study.row(trial), study.to_json(), f"{ended} of {self._plan.trials} trials ended{told}"
        )

    def on_note(self, sentence: str) -> None:
        self._job.on_note(sentence)

    def should_stop(self) -> bool:
        return self._job.should_stop()

    def _beside_bytes(self) -> int:
        """The memory of the adapters beside the first one, each at its largest."""
        method, ranks = self._job.task.hyper.method, self._plan.space.get("outcrop.rank")
        if isinstance(method, Full):
            return 0
        if isinstance(method, LoRA) and isinstance(ranks, IntegerRange | ContinuousRange):
            method = replace(method, rank=int(ranks.most))
        one = memory.need(Path(self._work.folder), method=method).trained
        return (min(self._plan.at_once, self._plan.trials) - 1) * one


def _evaluations(plan: SearchPlan, hyper: TrainingHyper) -> int:
    """The most evaluations of a trial after its first step.

    As far as that is known before its data is read.
    """
    epochs = plan.space.get("epochCount")
    most = int(epochs.most) if isinstance(epochs, IntegerRange) else hyper.epochs
    if hyper.evaluate_every_steps is not None:
        return most * _MOST_PER_EPOCH
    return most * (hyper.evaluations_per_epoch or _MOST_PER_EPOCH)
