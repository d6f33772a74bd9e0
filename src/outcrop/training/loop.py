"""The training loop that all stages share: steps, evaluations, checkpoints, and the end.

What a step computes depends on the weights, the optimizer and the step's number alone, so a run that was killed and
taken up again ends, on a CPU with equal threads and devices, with the very bits of one that was not. Every rank of
several runs this same loop and comes to the same decisions; the first one alone writes and tells.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

import torch
from torch import nn

from outcrop.errors import MachineTrouble
from outcrop.network import gradient_checkpointing, load
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import Full
from outcrop.network.fast.swap_in import swap_in
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import divergence
from outcrop.training.checkpoints import output
from outcrop.training.checkpoints.checkpointer import Checkpointer
from outcrop.training.checkpoints.history import History
from outcrop.training.checkpoints.model_checkpoints import (
    CheckpointSchedule,
    checkpoint_schedule,
    publish,
    size_of,
)
from outcrop.training.data import TrainingData
from outcrop.training.data_parallel import worker_threads
from outcrop.training.data_parallel.ranks import Ranks
from outcrop.training.data_parallel.sharding import ShardedWeights, whole
from outcrop.training.data_parallel.worker_threads import Replicas
from outcrop.training.divergence import DivergedError, demand_finite
from outcrop.training.estimate import machine
from outcrop.training.estimate.flops import step_cost
from outcrop.training.evaluation import score
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.held_out_answers import HeldOutPrompts, can_answer, prompts_of
from outcrop.training.metrics import (
    Hooks,
    ModelCheckpoint,
    RunStart,
    Score,
    StepMetrics,
    TrainingResult,
    ValidatorResult,
)
from outcrop.training.network_setup import TrainableNetwork, prepare
from outcrop.training.plan import TrainingPlan
from outcrop.training.stepping import Trained, take_step
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.throughput import Throughput, remaining_work
from outcrop.training.weights import TrainedWeights


class Run(NamedTuple):
    """A training run in progress, as one rank sees it."""

    task: TrainingTask
    hooks: Hooks
    trained: Trained
    data: TrainingData
    plan: TrainingPlan
    history: History
    checkpointer: Checkpointer
    ranks: Ranks
    saves: CheckpointSchedule
    throughput: Throughput
    parity: dict[int, str]
    "By number of steps: what the parity file of a model checkpoint holds, made in this process."
    prompts: HeldOutPrompts | None = None
    "The held-out prompts that are answered at evaluations; None where nobody listens, or none can be."


def begin(
    task: TrainingTask,
    hooks: Hooks,
    trained: Trained,
    data: TrainingData,
    plan: TrainingPlan,
    checkpointer: Checkpointer,
    ranks: Ranks,
) -> Run:
    """The run before its next step: from its last checkpoint; or new, with the network it starts from scored."""
    history = checkpointer.resume()
    hooks.on_start(start_of(trained, history, ranks, peak_flops=ranks.sum(machine.matmul_flops())))
    saves = checkpoint_schedule(plan, num_bytes=size_of(task, trained))
    throughput = Throughput(remaining_work(data, plan, saves))
    prompts, is_new = _prompts(task, hooks, trained, data, ranks), history is None
    if history is None:
        history = _begin(trained, data, task.hyper, hooks, ranks, throughput)
        checkpointer.write(history)  # the base's scores may have taken longer than many a step
    run = Run(task, hooks, trained, data, plan, history, checkpointer, ranks, saves, throughput, {}, prompts)
    if is_new and history.evaluations:
        _answer(run)
    return run


def to_the_end(run: Run) -> TrainingResult:
    """Take the steps that are left, and write what came of them. Raises Refusal, and RankLostError."""
    try:
        stopped = _train(run)
    except DivergedError as error:
        good = _keep_what_was_good(run)
        error.checkpoint = None if good is None else good.name
        told = f"The last good checkpoint is {good.name}." if good else "No checkpoint before that is worth keeping."
        error.message = f"{error.message} {told}"
        raise
    except Exception:
        if run.ranks.size == 1:  # others may have ended, and would be waited for
            with suppress(Exception):  # what broke the run is what is told
                _keep_the_best(run)
        raise
    if stopped:
        run.checkpointer.write(run.history)
        if run.ranks.of_first(run.hooks.for_good()):
            _keep_the_best(run)
        return result_of("stopped", run, ())
    return _finish(run)


def load_trained(task: TrainingTask, ranks: Ranks) -> tuple[Trained, list[str]]:
    """The network with what it learns, and what was understood otherwise than it may have been meant."""
    trainable = prepare(task)
    make_fast(trainable.network, trainable.routing, task.hyper, ranks)
    decay = task.hyper.weight_decay
    weights: TrainedWeights | ShardedWeights
    if ranks.shards and isinstance(trainable.method, Full):
        weights = ShardedWeights(trainable.network, weight_decay=decay, ranks=ranks)
    else:
        weights = TrainedWeights(trainable.parameters, weight_decay=decay, ranks=ranks)
    threads = torch.get_num_threads()
    most = worker_threads.MOST_WHOLE if isinstance(trainable.method, Full) else worker_threads.MOST
    own = Replicas(trainable.network, trainable.routing, weights, threads=threads, most=most)
    return trained_of(trainable, weights, own), list(trainable.notes)


def make_fast(network: nn.Module, routing: Routing, hyper: TrainingHyper, ranks: Ranks) -> None:
    """Have the network keep and compute less while it trains."""
    if not ranks.shards:
        swap_in(network, routing)
    if hyper.gradient_checkpointing:
        gradient_checkpointing.checkpoint_layers(network)


def trained_of(
    trainable: TrainableNetwork,
    weights: TrainedWeights | ShardedWeights,
    replicas: Replicas,
    *,
    adapter: str = ADAPTER,
) -> Trained:
    network, method = trainable.network, trainable.method
    cost = step_cost(network, num_trained=sum(parameter.numel() for parameter in trainable.parameters))
    return Trained(network, trainable.routing, weights, method, cost, replicas, adapter)


def start_of(trained: Trained, history: History | None, ranks: Ranks, *, peak_flops: float) -> RunStart:
    return RunStart(
        num_parameters=sum(parameter.numel() for parameter in trained.network.parameters()),
        num_trained=trained.weights.num_weights,
        threads=torch.get_num_threads() * ranks.size,
        peak_flops=peak_flops,
        devices=ranks.size,
        steps=tuple(history.steps) if history else (),
        evaluations=tuple(history.evaluations) if history else (),
    )


def _begin(
    trained: Trained, data: TrainingData, hyper: TrainingHyper, hooks: Hooks, ranks: Ranks, throughput: Throughput
) -> History:
    history = History()
    first, others = data.validators[:1], data.validators[1:]
    with throughput.evaluating():
        scores = _scores(trained, [v.examples for v in first], hyper, ranks)
    with throughput.scoring_others():
        scores += _scores(trained, [v.examples for v in others], hyper, ranks)
    evaluation = history.begin(scores)
    if evaluation is not None:
        hooks.on_evaluation(evaluation)
    return history


def _prompts(
    task: TrainingTask, hooks: Hooks, trained: Trained, data: TrainingData, ranks: Ranks
) -> HeldOutPrompts | None:
    if hooks.on_answers is None or not ranks.is_first or not data.evaluated or not can_answer(trained):
        return None
    context_length = task.context_length or load.context_length(task.base_dir)
    prompts = prompts_of(data.evaluated, context_length=context_length)
    return HeldOutPrompts(prompts, Tokenizer.open(task.base_dir)) if prompts else None


def _answer(run: Run) -> None:
    """The held-out prompts, answered by the weights as they stand."""
    if run.prompts is None or run.hooks.on_answers is None:
        return
    with run.throughput.answering():
        answers = run.prompts.answers(run.trained)
    if answers:
        run.hooks.on_answers(len(run.history.steps), answers)


def _train(run: Run) -> bool:
    """Take the steps that are left. True when it was asked to stop before the end."""
    history = run.history
    run.throughput.begin(tokens_done=sum(step.tokens for step in history.steps))
    while goes_on(run):
        if run.ranks.of_first(run.hooks.should_stop()):
            return True
        step = take_step(run.trained, run.data.examples, run.plan, run.task.hyper, len(history.steps), run.ranks)
        evaluated = after_step(run, step)
        if divergence.is_suspicious(history.steps):
            continue  # the checkpoints on the disk may be the last good ones
        if evaluated is not None:
            run.checkpointer.write_at_evaluation(history)
        run.checkpointer.write_if_due(history)
    return False


def goes_on(run: Run) -> bool:
    """Whether there is a step left to take, and patience for it."""
    return len(run.history.steps) < run.plan.steps and not run.history.is_out_of_patience(run.task.hyper.patience)


def after_step(run: Run, step: StepMetrics) -> float | None:
    """A step noted, told, and followed by what is due after it; the loss where it was evaluated.

    Raises DivergedError.
    """
    history = run.history
    history.steps.append(step)
    run.hooks.on_step(step)
    run.hooks.on_progress(run.throughput.after(step))
    divergence.demand_no_rise(history.steps)
    evaluated = _evaluate(run) if len(history.steps) in run.plan.evaluate_after else None
    if len(history.steps) in run.saves.after:
        _publish(run, ModelCheckpoint(step=len(history.steps), epoch=step.epoch, loss=evaluated))
    return evaluated


def _evaluate(run: Run) -> float:
    """The first validator's loss, noted; the weights are kept if none was lower."""
    hyper, trained, last = run.task.hyper, run.trained, run.history.steps[-1]
    with run.throughput.evaluating():
        (result,) = _scores(trained, [run.data.evaluated], hyper, run.ranks)
    demand_finite(result.loss, step=last.step, rate=last.learning_rate)
    evaluation = run.history.add_evaluation(
        result, epoch=last.epoch, threshold=hyper.threshold, weights=trained.weights.copy()
    )
    run.hooks.on_evaluation(evaluation)
    _answer(run)
    return result.loss


def _publish(run: Run, checkpoint: ModelCheckpoint) -> None:
    trained, kept = _to_be_written(run), run.history.checkpoints
    if trained is not None:
        with run.throughput.saving():
            parity = publish(run.task, trained, run.data.held_out, run.history, run.hooks, checkpoint)
        if parity is not None:
            run.parity[checkpoint.step] = parity
    if run.ranks.of_first(checkpoint in kept) and not run.ranks.is_first:
        kept.append(checkpoint)


def _to_be_written(run: Run) -> Trained | None:
    """The trained network that the first rank writes; None on the others."""
    weights = run.trained.weights
    if isinstance(weights, TrainedWeights):
        return run.trained if run.ranks.is_first else None
    trainable = whole(weights, run.task)
    return trainable and run.trained._replace(network=trainable.network, routing=trainable.routing)


def _keep_what_was_good(run: Run) -> ModelCheckpoint | None:
    """Leave the last good weights as a model checkpoint, if they are not one yet."""
    good = _keep_the_best(run) or _last_good_of(run)
    if good is not None and not _is_kept(run, good):
        _publish(run, good)
    return good


def _keep_the_best(run: Run) -> ModelCheckpoint | None:
    """Put the best evaluation's weights in place, and leave them as a model checkpoint, if they are not one yet."""
    best = best_of(run)
    if best is not None and not _is_kept(run, best):
        _publish(run, best)
    return best


def _is_kept(run: Run, checkpoint: ModelCheckpoint) -> bool:
    return checkpoint.step in {kept.step for kept in run.history.checkpoints}


def best_of(run: Run) -> ModelCheckpoint | None:
    """The best evaluation's, whose weights are put in place."""
    history = run.history
    if history.best_weights is None:
        return None
    run.trained.weights.put(history.best_weights)
    best = next(evaluation for evaluation in history.evaluations if evaluation.step == history.best_step)
    return ModelCheckpoint(step=best.step, epoch=best.epoch, loss=best.loss)


def _last_good_of(run: Run) -> ModelCheckpoint | None:
    """The newest from before the loss rose: a model checkpoint, or what the run would have gone on from."""
    at_most = divergence.good_steps(run.history.steps)
    kept = [checkpoint for checkpoint in run.history.checkpoints if checkpoint.step <= at_most]
    before = run.checkpointer.go_back(at_most)
    if before is not None and len(before.steps) > max((checkpoint.step for checkpoint in kept), default=0):
        return ModelCheckpoint(step=len(before.steps), epoch=before.steps[-1].epoch, loss=None)
    return kept[-1] if kept else None


def _scores(trained: Trained, files: Sequence[Sequence[Example]], hyper: TrainingHyper, ranks: Ranks) -> list[Score]:
    budget = hyper.token_budget
    return [score(trained, v, token_budget=budget, ranks=ranks) for v in files]


def _finish(run: Run) -> TrainingResult:
    _keep_the_best(run)
    validators = validators_of(run)
    trained = _to_be_written(run)
    if trained is not None:
        _save(run, trained)
    return result_of("completed", run, validators)


def validators_of(run: Run) -> list[ValidatorResult]:
    """Every validator's scores before and after, by the weights in place."""
    return [
        ValidatorResult(name=validator.name, base=before, custom=after)
        for validator, before, after in zip(run.data.validators, run.history.base, _final_scores(run), strict=True)
    ]


def _final_scores(run: Run) -> list[Score]:
    """The final scores of all validators by the weights in place.

    The first one's was found when these were evaluated.
    """
    known = [run.history.best_score] if run.history.best_score is not None else []
    rest = run.data.validators[len(known) :]
    return known + _scores(run.trained, [v.examples for v in rest], run.task.hyper, run.ranks)


def _save(run: Run, trained: Trained) -> None:
    """Write the result, as often as the hooks want it tried. Hours of work shall not be lost to a full disk."""
    task, history = run.task, run.history
    step = len(history.steps) if history.best_weights is None else history.best_step
    while True:
        try:
            output.save(task.output_dir, task, trained, held_out=run.data.held_out, parity=run.parity.get(step))
            return
        except MachineTrouble as trouble:
            if not run.hooks.try_again(trouble):
                raise


def result_of(
    status: Literal["completed", "stopped"], run: Run, validators: Sequence[ValidatorResult]
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
