"""The training loop: steps, evaluations, checkpoints, and the end.

What a step computes depends on the weights, the optimizer and the step's number alone, so a run that was killed and
taken up again ends, on a CPU with equal threads, with the very bits of one that was not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from outcrop.network import adapters, load
from outcrop.network.adapters import LoRA
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import output
from outcrop.training.evaluation import score
from outcrop.training.examples import Example, read_examples
from outcrop.training.history import History
from outcrop.training.keeper import Keeper
from outcrop.training.loss import ADAPTER
from outcrop.training.metrics import Hooks, Score, TrainingResult, ValidatorResult
from outcrop.training.pace import Pace
from outcrop.training.plan import TrainingPlan, plan_training
from outcrop.training.stepping import Trained, demand_finite, take_step
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.weights import TrainedWeights


class Data(NamedTuple):
    """What is learned, and what it is tried on."""

    examples: Sequence[Example]
    validators: Sequence[Sequence[Example]]


def run(task: TrainingTask, hooks: Hooks) -> TrainingResult:
    """Train to the end, from the last checkpoint in the run's folder if there is one. Raises Refusal."""
    with _settled(task.hyper):
        data = _read(task)
        trained, notes = _load(task)
        plan = plan_training(data.examples, data.validators[0] if data.validators else (), task.hyper, notes=notes)
        hooks.on_plan(plan.to_text())
        keeper = Keeper(task, trained.weights, hooks)
        history = keeper.resume()
        if history is None:
            history = _begin(trained, data, task.hyper, hooks)
            keeper.write(history)  # the base's scores may have taken longer than many a step
        stopped = _train(trained, data, plan, history, task.hyper, hooks, keeper)
        if stopped:
            keeper.write(history)
            return _result("stopped", task, plan, history, ())
        return _finish(task, trained, data, plan, history)


def _read(task: TrainingTask) -> Data:
    tokenizer = Tokenizer.open(task.base_dir)
    context_length = load.context_length(task.base_dir)

    def read(path: Path) -> list[Example]:
        return read_examples(path, tokenizer, context_length=context_length, customization=task.customization)

    return Data(read(task.train), [read(path) for path in task.validators])


def _load(task: TrainingTask) -> tuple[Trained, list[str]]:
    network = load.load_base(task.base_dir)
    routing = adapters.hold_adapters(network)
    shape = LoRA(rank=task.hyper.rank, alpha=task.hyper.alpha)
    notes = []
    if task.parent_adapter is None:
        generator = torch.Generator().manual_seed(task.hyper.seed)
        parameters = adapters.add_new(network, ADAPTER, shape, generator)
    else:
        parent = adapters.read_shape(task.parent_adapter)
        if parent != shape:
            notes.append(
                f"rank {parent.rank} and alpha {parent.alpha:g}, from the custom model that is trained further"
            )
        shape = parent
        parameters = adapters.load(network, ADAPTER, task.parent_adapter, trainable=True)
    weights = TrainedWeights(parameters, weight_decay=task.hyper.weight_decay)
    return Trained(network, routing, weights, shape), notes


def _begin(trained: Trained, data: Data, hyper: TrainingHyper, hooks: Hooks) -> History:
    history = History()
    evaluation = history.begin(_scores(trained, data, hyper))
    if evaluation is not None:
        hooks.on_evaluation(evaluation)
    return history


def _train(
    trained: Trained, data: Data, plan: TrainingPlan, history: History, hyper: TrainingHyper, hooks: Hooks,
    keeper: Keeper,
) -> bool:  # fmt: skip
    """Take the steps that are left. True when it was asked to stop before the end."""
    pace = Pace(plan, tokens_done=sum(step.tokens for step in history.steps))
    while len(history.steps) < plan.steps and not history.is_out_of_patience(hyper.patience):
        if hooks.should_stop():
            return True
        step = take_step(trained, data.examples, plan, hyper, len(history.steps))
        history.steps.append(step)
        hooks.on_step(step)
        if len(history.steps) in plan.evaluate_after:
            _evaluate(trained, data, history, hyper, hooks)
            keeper.write_at_evaluation(history)
        keeper.write_if_due(history)
        hooks.on_progress(pace.after(step))
    return False


def _evaluate(trained: Trained, data: Data, history: History, hyper: TrainingHyper, hooks: Hooks) -> None:
    result = score(trained.network, trained.routing, data.validators[0], token_budget=hyper.token_budget)
    last = history.steps[-1]
    demand_finite(result.loss, step=last.step, rate=last.learning_rate)
    evaluation = history.add_evaluation(
        result.loss, epoch=last.epoch, threshold=hyper.threshold, weights=trained.weights.copy()
    )
    hooks.on_evaluation(evaluation)


def _scores(trained: Trained, data: Data, hyper: TrainingHyper) -> list[Score]:
    return [score(trained.network, trained.routing, v, token_budget=hyper.token_budget) for v in data.validators]


def _finish(task: TrainingTask, trained: Trained, data: Data, plan: TrainingPlan, history: History) -> TrainingResult:
    if history.best_weights is not None:
        trained.weights.put(history.best_weights)
    custom = _scores(trained, data, task.hyper)
    held_out = data.validators[0] if data.validators else data.examples
    output.save(
        task.output_dir, trained.network, trained.routing, trained.shape, base_name=task.base_name, held_out=held_out
    )
    names = [path.name for path in task.validators]
    validators = [
        ValidatorResult(name=name, base=before, custom=after)
        for name, before, after in zip(names, history.base, custom, strict=True)
    ]
    return _result("completed", task, plan, history, validators)


def _result(
    status: Literal["completed", "stopped"],
    task: TrainingTask,
    plan: TrainingPlan,
    history: History,
    validators: Sequence[ValidatorResult],
) -> TrainingResult:
    return TrainingResult(
        status=status,
        steps=len(history.steps),
        best_step=history.best_step if history.best_weights is not None else len(history.steps),
        stopped_early=history.is_out_of_patience(task.hyper.patience),
        step_metrics=tuple(history.steps),
        evaluations=tuple(history.evaluations),
        validators=tuple(validators),
        notes=plan.notes,
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
