"""The training loop: steps, evaluations, checkpoints, and the end.

What a step computes depends on the weights, the optimizer and the step's number alone, so a run that was killed and
taken up again ends, on a CPU with equal threads, with the very bits of one that was not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, NamedTuple

import torch

from outcrop.errors import MachineTrouble
from outcrop.training import divergence, machine, output
from outcrop.training.data import Data, read
from outcrop.training.divergence import DivergedError, demand_finite
from outcrop.training.evaluation import score, steps_to_evaluate
from outcrop.training.flops import step_cost
from outcrop.training.history import History
from outcrop.training.keeper import Keeper
from outcrop.training.learner import prepare
from outcrop.training.metrics import Hooks, ModelCheckpoint, Score, Start, TrainingResult, ValidatorResult
from outcrop.training.model_checkpoints import publish, size_of, steps_to_keep
from outcrop.training.pace import Pace
from outcrop.training.plan import TrainingPlan, plan_training
from outcrop.training.stepping import Trained, take_step
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.weights import TrainedWeights


def run(task: TrainingTask, hooks: Hooks) -> TrainingResult:
    """Train to the end, from the last checkpoint in the run's folder if there is one. Raises Refusal."""
    with _settled(task.hyper):
        data = read(task)
        hooks.on_data(data)
        trained, notes = _load(task)
        plan = _plan(data, task.hyper, [*data.notes, *notes])
        hooks.on_plan(plan.to_text())
        with Keeper(task, trained.weights, hooks) as keeper:
            history = keeper.resume()
            hooks.on_start(_start(trained, history))
            if history is None:
                history = _begin(trained, data, task.hyper, hooks)
                keeper.write(history)  # the base's scores may have taken longer than many a step
            going = _Run(task, hooks, trained, data, plan, history, keeper)
            return _to_the_end(going)


class _Run(NamedTuple):
    """Everything a run in progress needs."""

    task: TrainingTask
    hooks: Hooks
    trained: Trained
    data: Data
    plan: TrainingPlan
    history: History
    keeper: Keeper


def _to_the_end(run: _Run) -> TrainingResult:
    try:
        stopped = _train(run)
    except DivergedError as error:
        good = _keep_what_was_good(run)
        error.checkpoint = None if good is None else good.name
        told = f"The last good checkpoint is {good.name}." if good else "No checkpoint before that is worth keeping."
        error.message = f"{error.message} {told}"
        raise
    if stopped:
        run.keeper.write(run.history)
        return _result("stopped", run, ())
    return _finish(run)


def _load(task: TrainingTask) -> tuple[Trained, list[str]]:
    learner = prepare(task)
    weights = TrainedWeights(learner.parameters, weight_decay=task.hyper.weight_decay)
    cost = step_cost(learner.network, num_trained=weights.vector.numel())
    return Trained(learner.network, learner.routing, weights, learner.method, cost), list(learner.notes)


def _plan(data: Data, hyper: TrainingHyper, notes: Sequence[str]) -> TrainingPlan:
    plan = plan_training(data.examples, data.evaluated, hyper, notes=notes)
    if hyper.evaluate_every_steps is None or not data.evaluated:
        return plan
    return replace(plan, evaluate_after=steps_to_evaluate(plan.steps, every=hyper.evaluate_every_steps))


def _start(trained: Trained, history: History | None) -> Start:
    return Start(
        num_parameters=sum(parameter.numel() for parameter in trained.network.parameters()),
        num_trained=trained.weights.vector.numel(),
        threads=torch.get_num_threads(),
        peak_flops=machine.matmul_flops(),
        steps=tuple(history.steps) if history else (),
        evaluations=tuple(history.evaluations) if history else (),
    )


def _begin(trained: Trained, data: Data, hyper: TrainingHyper, hooks: Hooks) -> History:
    history = History()
    evaluation = history.begin(_scores(trained, data, hyper))
    if evaluation is not None:
        hooks.on_evaluation(evaluation)
    return history


def _train(run: _Run) -> bool:
    """Take the steps that are left. True when it was asked to stop before the end."""
    history, plan, hyper, hooks = run.history, run.plan, run.task.hyper, run.hooks
    pace = Pace(plan, tokens_done=sum(step.tokens for step in history.steps))
    keep_after = steps_to_keep(plan, num_bytes=size_of(run.task, run.trained))
    while len(history.steps) < plan.steps and not history.is_out_of_patience(hyper.patience):
        if hooks.should_stop():
            return True
        step = take_step(run.trained, run.data.examples, plan, hyper, len(history.steps))
        history.steps.append(step)
        hooks.on_step(step)
        hooks.on_progress(pace.after(step))
        divergence.demand_no_rise(history.steps)
        evaluated = _evaluate(run) if len(history.steps) in plan.evaluate_after else None
        if len(history.steps) in keep_after:
            _publish(run, ModelCheckpoint(step=len(history.steps), epoch=step.epoch, loss=evaluated))
        if divergence.is_suspicious(history.steps):
            continue  # the checkpoints on the disk may be the last good ones
        if evaluated is not None:
            run.keeper.write_at_evaluation(history)
        run.keeper.write_if_due(history)
    return False


def _evaluate(run: _Run) -> float:
    """The first validator's loss, noted; the weights are kept if none was lower."""
    hyper, trained, last = run.task.hyper, run.trained, run.history.steps[-1]
    result = score(trained.network, trained.routing, run.data.evaluated, token_budget=hyper.token_budget)
    demand_finite(result.loss, step=last.step, rate=last.learning_rate)
    evaluation = run.history.add_evaluation(
        result.loss, epoch=last.epoch, threshold=hyper.threshold, weights=trained.weights.copy()
    )
    run.hooks.on_evaluation(evaluation)
    return result.loss


def _publish(run: _Run, checkpoint: ModelCheckpoint) -> None:
    publish(run.task, run.trained, run.data.held_out, run.history, run.hooks, checkpoint)


def _keep_what_was_good(run: _Run) -> ModelCheckpoint | None:
    """Leave the last good weights as a model checkpoint, if they are not one yet."""
    good = _best_of(run) or _last_good_of(run)
    if good is not None and good.step not in {checkpoint.step for checkpoint in run.history.checkpoints}:
        _publish(run, good)
    return good


def _best_of(run: _Run) -> ModelCheckpoint | None:
    """The best evaluation's, whose weights are put in place."""
    history = run.history
    if history.best_weights is None:
        return None
    run.trained.weights.put(history.best_weights)
    best = next(evaluation for evaluation in history.evaluations if evaluation.step == history.best_step)
    return ModelCheckpoint(step=best.step, epoch=best.epoch, loss=best.loss)


def _last_good_of(run: _Run) -> ModelCheckpoint | None:
    """The newest from before the loss rose: a model checkpoint, or what the run would have gone on from."""
    at_most = divergence.good_steps(run.history.steps)
    kept = [checkpoint for checkpoint in run.history.checkpoints if checkpoint.step <= at_most]
    before = run.keeper.go_back(at_most)
    if before is not None and len(before.steps) > max((checkpoint.step for checkpoint in kept), default=0):
        return ModelCheckpoint(step=len(before.steps), epoch=before.steps[-1].epoch, loss=None)
    return kept[-1] if kept else None


def _scores(trained: Trained, data: Data, hyper: TrainingHyper) -> list[Score]:
    budget = hyper.token_budget
    return [score(trained.network, trained.routing, v, token_budget=budget) for _, v in data.validators]


def _finish(run: _Run) -> TrainingResult:
    if run.history.best_weights is not None:
        run.trained.weights.put(run.history.best_weights)
    custom = _scores(run.trained, run.data, run.task.hyper)
    _save(run)
    validators = [
        ValidatorResult(name=validator.name, base=before, custom=after)
        for validator, before, after in zip(run.data.validators, run.history.base, custom, strict=True)
    ]
    return _result("completed", run, validators)


def _save(run: _Run) -> None:
    """Write the result, as often as the hooks want it tried: hours of work shall not be lost to a full disk."""
    task, trained = run.task, run.trained
    while True:
        try:
            output.save(task.output_dir, task, trained, held_out=run.data.held_out)
            return
        except MachineTrouble as trouble:
            if not run.hooks.try_again(trouble):
                raise


def _result(
    status: Literal["completed", "stopped"], run: _Run, validators: Sequence[ValidatorResult]
) -> TrainingResult:
    history = run.history
    return TrainingResult(
        status=status,
        steps=len(history.steps),
        best_step=history.best_step if history.best_weights is not None else len(history.steps),
        stopped_early=history.is_out_of_patience(run.task.hyper.patience),
        step_metrics=tuple(history.steps),
        evaluations=tuple(history.evaluations),
        validators=tuple(validators),
        checkpoints=tuple(history.checkpoints),
        notes=run.plan.notes,
    )


@contextmanager
def _settled(hyper: TrainingHyper) -> Iterator[None]:
    """Threads and random states fixed while a run lasts."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(hyper.seed)
        torch.set_num_threads(hyper.threads or threads)
        torch.use_deterministic_algorithms(True)
        # Filling new memory with NaN would find a read before the first write; it also costs a tenth of the time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)
