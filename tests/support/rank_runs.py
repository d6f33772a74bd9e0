"""Runs by several ranks, each a fork of this program, so that torch and transformers are imported once for all of them.

As a program it makes every run that `tests/numerics/test_ranks.py` looks at, and leaves what came of them in a folder.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from outcrop.network import load
from outcrop.network.adapters.method import Full, LoRA, Method
from outcrop.training import data, finetune, loop
from outcrop.training.checkpoints.checkpointer import Checkpointer
from outcrop.training.data_parallel.ranks import (
    ALONE,
    RankLostError,
    Ranks,
    joined,
    store_at,
)
from outcrop.training.divergence import DivergedError
from outcrop.training.metrics import Hooks, StepMetrics
from outcrop.training.plan import plan_training
from outcrop.training.stepping import take_step
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support import training_runs
from tests.support.patience import eventually
from tests.support.training_runs import HELD_OUT, RECORDS

METHODS: dict[str, Method] = {"lora": LoRA(rank=16, alpha=32.0), "full": Full()}
# Ten records of different lengths; the last batch of an epoch is one record, so that a rank has none.
UNEVEN = [{**record, "completion": record["completion"] * (1 + i % 4)} for i, record in enumerate(RECORDS)]
HYPER = TrainingHyper(
    epochs=3,
    batch_size=3,
    learning_rate=1e-3,
    threads=1,
    checkpoint_every_s=0,
    token_budget=64,
    evaluations_per_epoch=1,
)
WHOLE, LOST, DIVERGED, BROKEN = 0, 3, 4, 1
"Exit codes of a rank."


def together(size: int, meeting_point: Path, work: Callable[[Ranks], object]) -> list[int]:
    """Exit codes of `size` forks that do the work as ranks; -9 for one that was killed."""
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            os._exit(_be(rank, size, meeting_point, work))
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    meeting_point.unlink(missing_ok=True)
    return codes


def _be(rank: int, size: int, meeting_point: Path, work: Callable[[Ranks], object]) -> int:
    try:
        if size == 1:
            work(ALONE)
        else:
            with joined(rank, size, store=store_at(meeting_point, size)) as ranks:
                work(ranks)
    except RankLostError:
        return LOST
    except DivergedError:
        return DIVERGED
    except BaseException:
        traceback.print_exc()
        return BROKEN
    return WHOLE


def take_steps(task: TrainingTask, where: Path, ranks: Ranks) -> None:
    """Twelve steps; each rank leaves its losses, gradient norms and weights after each."""
    examples = data.read(task).examples
    plan = plan_training(examples, (), task.hyper)
    trained, _ = loop.load_trained(task, ranks)
    steps, weights = [], []
    for step in range(plan.steps):
        steps.append(take_step(trained, examples, plan, task.hyper, step, ranks))
        weights.append(trained.weights.copy())
    parameters = trained.network.parameters()
    held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters)
    name = f"{ranks.size}-{ranks.rank}{'-sharded' if ranks.shards else ''}.pt"
    measured = torch.tensor([[step.loss, step.grad_norm] for step in steps], dtype=torch.float64)
    torch.save({"measured": measured, "weights": torch.stack(weights), "held": torch.tensor(held)}, where / name)


def train(task: TrainingTask, ranks: Ranks, *, kill: tuple[int, int] | None = None, stop: int | None = None) -> None:
    """A whole run; `kill` is a rank and the step after which it kills itself, `stop` the step after which the first rank
    is asked to stop."""
    steps: list[int] = []
    if kill is not None:  # a slow disk would hold back all but the first, of no step; this program ends with the run
        Checkpointer.write_if_due = Checkpointer.write  # type: ignore[method-assign]

    def tell(step: StepMetrics) -> None:
        steps.append(step.step)
        if kill == (ranks.rank, step.step):
            eventually(lambda: any(task.run_dir.rglob("step-*[1-9]-*.safetensors")))  # not that of the beginning alone
            os.kill(os.getpid(), signal.SIGKILL)

    def should_stop() -> bool:
        return ranks.is_first and stop is not None and len(steps) >= stop

    result = finetune.run(task, Hooks(on_step=tell, should_stop=should_stop), ranks)
    told = {
        "status": result.status,
        "losses": [step.loss for step in result.step_metrics],
        "evaluations": [evaluation.loss for evaluation in result.evaluations],
        "scores": [score.custom.nll for score in result.validators],
        "steps_now": len(steps),
    }
    (task.run_dir.parent / f"rank-{ranks.rank}.json").write_text(json.dumps(told))


def _sharded(work: Callable[[Ranks], object], ranks: Ranks) -> None:
    """As on GPUs, where a network trained in full is split between the ranks."""
    work(replace(ranks, shards=True))


def main(base: Path, where: Path) -> None:
    codes: dict[str, list[int]] = {}

    def run(name: str, size: int, work: Callable[[Ranks], object]) -> None:
        codes[name] = together(size, where / "meeting", work)

    def task_in(folder: str, **changes: object) -> TrainingTask:
        hyper = replace(HYPER, **changes)  # type: ignore[arg-type]
        return training_runs.task(base, where / folder, hyper=hyper, records=UNEVEN, held_out=HELD_OUT)

    for name, method in METHODS.items():
        for size in (1, 2):
            run(f"{name} on {size}", size, partial(take_steps, task_in(name, method=method), where / name))
    sharded = partial(_sharded, partial(take_steps, task_in("full", method=Full()), where / "full"))
    run("full sharded on 2", 2, sharded)
    for size in (1, 2):
        run(f"whole-{size}", size, partial(train, task_in(f"whole-{size}")))
    run("full-whole-1", 1, partial(train, task_in("full-whole-1", method=Full())))
    moved = task_in("moved-full", method=Full())
    run("sharded first", 2, partial(_sharded, partial(train, moved, stop=3)))
    run("whole then", 1, partial(train, moved, stop=3))
    run("sharded again", 2, partial(_sharded, partial(train, moved)))
    ruinous = task_in("sharded-diverged", method=Full(), learning_rate=1e30)
    run("sharded-diverged", 2, partial(_sharded, partial(train, ruinous)))
    for victim in (0, 1):
        killed = task_in(f"killed-{victim}")
        run(f"killed-{victim}", 2, partial(train, killed, kill=(victim, 6)))
    run("killed-1 again", 2, partial(train, killed))
    moved = task_in("moved")
    run("first on two", 2, partial(train, moved, stop=5))
    run("then on one", 1, partial(train, moved))
    run("diverged", 2, partial(train, task_in("diverged", learning_rate=1e30)))
    dropout = replace(LoRA(rank=16, alpha=32.0), dropout=0.3)
    for name, stop in (("dropout", None), ("dropout-stopped", 2)):
        dropping = task_in(name, method=dropout, epochs=1)
        run(name, 2, partial(train, dropping, stop=stop))
    run("dropout-stopped again", 2, partial(train, dropping))
    (where / "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    torch.set_num_threads(1)  # a thread pool would not survive the forks
    load.load_base(Path(sys.argv[1]))
    main(Path(sys.argv[1]), Path(sys.argv[2]))
