"""Trials that learn side by side from one frozen base, each step in one pass over all their records.

A trial is a run as the ordinary loop makes it: the same batches, rates, evaluations, patience and best weights, with
losses that differ by rounding alone. One that ends leaves its place to the next. All write their checkpoints after the
same step, and whenever one leaves, so that a process that was killed is taken up where all of them stood, and ends with
the bits of one that was not, on a CPU with equal threads.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

from outcrop.training import data, loop
from outcrop.training.checkpoints import checkpoint, output
from outcrop.training.checkpoints.checkpointer import Checkpointer
from outcrop.training.checkpoints.history import History
from outcrop.training.checkpoints.model_checkpoints import CheckpointSchedule
from outcrop.training.data import TrainingData
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.divergence import DivergedError
from outcrop.training.estimate import machine
from outcrop.training.evaluation import score
from outcrop.training.examples import Example, RecordOrigin
from outcrop.training.loop import Run
from outcrop.training.metrics import Score, TrainingResult
from outcrop.training.plan import plan_training
from outcrop.training.settled import settled
from outcrop.training.stepping import batch_of, update
from outcrop.training.task import TrainingTask
from outcrop.training.throughput import Throughput, remaining_work
from outcrop.training.trials.network import TrialNetwork, budget_of
from outcrop.training.trials.trial import Trial, TrialEnd, TrialOutcome, TrialSource

_NO_MODELS = CheckpointSchedule(frozenset(), one_for_the_best=False)
"A trial leaves no model checkpoints; of a search the best model is what is wanted."


class _TrialPlace(NamedTuple):
    """A trial with its run."""

    trial: Trial
    run: Run
    stack: ExitStack

    @property
    def name(self) -> str:
        return self.run.trained.adapter


def train(task: TrainingTask, source: TrialSource, *, places: int) -> bool:
    """Train what the source gives, up to `places` trials at a time. False when it was asked to stop before the end.

    `task` is one of the trials' tasks, or like them: base, data and threads are its own. Raises
    CannotShareError where its trials cannot learn side by side, before anything is learned.
    """
    with settled(task.hyper, ALONE):
        return _SideBySide(task, source).train(places)


class _SideBySide:
    """Everything that learns side by side now."""

    def __init__(self, task: TrainingTask, source: TrialSource) -> None:
        self._source = source
        self._data = _DataOfTrials()
        self._network = TrialNetwork(task)
        self._peak_flops = machine.matmul_flops()
        self._base: dict[tuple[object, ...], list[Score]] = {}
        self._places: list[_TrialPlace] = []
        self._steps = 0

    def train(self, places: int) -> bool:
        try:
            self._take_up()
            while True:
                self._leave([place for place in self._places if _outcome(place) is not None])
                while len(self._places) < places and (trial := self._source.next(self._steps)) is not None:
                    self._enter(trial)
                    self._leave([place for place in self._places if _outcome(place) is not None])
                if not self._places:
                    return True
                if self._source.should_stop():
                    self._write_all()
                    return False
                self._step()
        finally:
            for place in self._places:
                place.stack.close()

    def _take_up(self) -> None:
        """Trials that had begun, all from the last step after which each has a checkpoint."""
        trials = self._source.under_way()
        taken = [(checkpoint.newest_step(trial.task.run_dir) or 0) + trial.entered for trial in trials]
        self._steps = min(taken, default=0)
        for trial in trials:
            self._enter(trial, at_most=self._steps - trial.entered)

    def _enter(self, trial: Trial, *, at_most: int | None = None) -> None:
        task, name = trial.task, f"trial-{trial.number}"
        given = self._data.of(task, name)
        trial.hooks.on_data(given)
        trained, notes = self._network.add(task, name)
        plan = plan_training(given.examples, given.evaluated, task.hyper, notes=[*given.notes, *notes])
        stack = ExitStack()
        checkpointer = stack.enter_context(Checkpointer(task, trained.weights, trial.hooks, ALONE))
        history = checkpointer.resume(at_most=at_most)
        trial.hooks.on_plan(plan.to_text())
        trial.hooks.on_start(loop.start_of(trained, history, ALONE, peak_flops=self._peak_flops))
        throughput = Throughput(remaining_work(given, plan, _NO_MODELS))
        run = Run(
            task=task, hooks=trial.hooks, trained=trained, data=given, plan=plan, history=history or History(),
            checkpointer=checkpointer, ranks=ALONE, saves=_NO_MODELS, throughput=throughput, parity={},
        )  # fmt: skip
        if history is None:
            evaluation = run.history.begin(self._base_scores(run))
            if evaluation is not None:
                trial.hooks.on_evaluation(evaluation)
            checkpointer.write(run.history)
        throughput.begin(tokens_done=sum(step.tokens for step in run.history.steps))
        self._places.append(_TrialPlace(trial, run, stack))

    def _base_scores(self, run: Run) -> list[Score]:
        """The validators' scores before training, which fresh adapters on one base and data share."""
        key = self._data.key(run.task)
        if key not in self._base:
            budget = run.task.hyper.token_budget
            self._base[key] = [
                score(run.trained, validator.examples, token_budget=budget, ranks=ALONE)
                for validator in run.data.validators
            ]
        return self._base[key]

    def _step(self) -> None:
        """Take an optimizer step of every trial."""
        began = time.perf_counter()
        batches = {
            place.name: batch_of(place.run.data.examples, place.run.plan, place.run.task.hyper, _steps_of(place))
            for place in self._places
        }
        budget = budget_of([place.run.task.hyper for place in self._places])
        losses = self._network.compute_gradients(
            {name: batch.examples for name, batch in batches.items()}, token_budget=budget
        )
        self._steps += 1
        failed: list[TrialOutcome] = []
        for place in list(self._places):
            run, batch = place.run, batches[place.name]
            try:
                step = update(run.trained, run.plan, run.task.hyper, batch, losses[place.name], began=began)
                loop.after_step(run, step)
            except DivergedError as error:
                failed.append(TrialOutcome(number=place.trial.number, end=TrialEnd.FAILED, message=error.message))
                self._remove(place)
        if failed:
            # As where one leaves: the next trial enters after this step also where a successor takes the search up.
            self._write_all()
        for outcome in failed:
            self._source.ended(outcome)
        if self._places and all(place.run.checkpointer.is_due for place in self._places):
            for place in self._places:
                place.run.checkpointer.begin(place.run.history)

    def _leave(self, places: Sequence[_TrialPlace]) -> None:
        """End the trials whose run is over.

        All stand on the disk before anybody is told, and so would be taken up alike.
        """
        if not places:
            return
        self._write_all()
        for place in places:
            end = _outcome(place)
            assert end is not None, "it is over"
            result = _finished(place) if end is TrialEnd.COMPLETED else loop.result_of("stopped", place.run, ())
            outcome = TrialOutcome(number=place.trial.number, end=end, result=result)
            task, run = place.trial.task, place.run
            if self._source.wants(outcome):
                output.save(task.output_dir, task, run.trained, held_out=run.data.held_out)
            if run.data.validators and self._source.wants_records(outcome):
                self._source.records(outcome.number, _by_record(run))
            self._end(place, outcome)

    def _end(self, place: _TrialPlace, outcome: TrialOutcome) -> None:
        self._remove(place)
        self._source.ended(outcome)

    def _remove(self, place: _TrialPlace) -> None:
        place.stack.close()
        self._places.remove(place)
        self._network.remove(place.name)

    def _write_all(self) -> None:
        for place in self._places:
            place.run.checkpointer.finish()
            place.run.checkpointer.begin(place.run.history)
        for place in self._places:
            place.run.checkpointer.finish()


def _steps_of(place: _TrialPlace) -> int:
    return len(place.run.history.steps)


def _outcome(place: _TrialPlace) -> TrialEnd | None:
    """How a trial has ended; None while it goes on."""
    if not loop.goes_on(place.run):
        return TrialEnd.COMPLETED
    return TrialEnd.PRUNED if place.trial.hooks.should_stop() else None


def _finished(place: _TrialPlace) -> TrainingResult:
    """The result of a trial that came to its end, with its best weights put in place."""
    loop.best_of(place.run)
    return loop.result_of("completed", place.run, loop.validators_of(place.run))


def _by_record(run: Run) -> list[Score]:
    """The scores of each record of the last validator, by the weights in place."""
    budget = run.task.hyper.token_budget
    records: dict[RecordOrigin, list[Example]] = {}
    for example in run.data.validators[-1].examples:
        records.setdefault(example.origin, []).append(example)
    return [score(run.trained, parts, token_budget=budget, ranks=ALONE) for parts in records.values()]


class _DataOfTrials:
    """The training data of trials, read once where they share it; each example says whose it is."""

    def __init__(self) -> None:
        self._read: dict[tuple[object, ...], TrainingData] = {}

    def key(self, task: TrainingTask) -> tuple[object, ...]:
        """Equal for tasks that learn from the same records, and are evaluated on the same."""
        split = (task.hyper.held_out_percentage, task.hyper.seed) if task.hyper.held_out_percentage else None
        return task.train, task.validators, None if task.validators else split

    def of(self, task: TrainingTask, adapter: str) -> TrainingData:
        key = self.key(task)
        if key not in self._read:
            self._read[key] = data.read(task)
        read = self._read[key]
        validators = [v._replace(examples=_owned(v.examples, adapter)) for v in read.validators]
        return read._replace(examples=_owned(read.examples, adapter), validators=validators)


def _owned(examples: Sequence[Example], adapter: str) -> list[Example]:
    return [replace(example, adapter=adapter) for example in examples]
