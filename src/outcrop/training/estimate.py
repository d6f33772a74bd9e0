"""What a run will need, memory and time, before anything of it is loaded; and what to change where that is too much."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from outcrop.errors import Invalid
from outcrop.network import load
from outcrop.network.method import Full, Method
from outcrop.training import duration, model_checkpoints, output
from outcrop.training.batches import batch_at, pack, steps_per_epoch
from outcrop.training.data import Data
from outcrop.training.duration import RowTime, Speed, measure_speed
from outcrop.training.evaluation import steps_to_evaluate
from outcrop.training.memory import Memory, gib, memory_of
from outcrop.training.plan import evaluations
from outcrop.training.task import TrainingHyper
from outcrop.training.tracing import cost_of_row

_LEAST_BUDGET = 64


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Of the sequences of a run, in tokens."""

    training: Sequence[int]
    supervised: int
    "How many of all of them are learned."
    validation: Sequence[int] = ()
    "Of the first validator."


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of one run, to its last epoch."""

    memory: Memory
    widest: tuple[int, ...]
    "Lengths of the records in the row that takes most."
    steps: int
    step_s: float
    "Of a step, on average."
    evaluations: int
    evaluation_s: float
    saves: int
    "Of what is trained: model checkpoints, the first checkpoint, and the result."
    save_s: float
    "With the log probabilities that go into each."

    @property
    def seconds(self) -> float:
        return self.steps * self.step_s + self.evaluations * self.evaluation_s + self.saves * self.save_s

    def to_text(self) -> str:
        return "\n".join(
            [
                f"memory       {self.memory.to_text()}",
                f"time         {clock(self.seconds)} = {self.steps:,} steps x {self.step_s:.3g} s + "
                f"{self.evaluations} evaluations x {self.evaluation_s:.3g} s + "
                f"{self.saves} saves x {self.save_s:.3g} s",
            ]
        )


def lengths_of(data: Data) -> Lengths:
    return Lengths(
        training=[len(example) for example in data.examples],
        supervised=sum(example.num_supervised for example in data.examples),
        validation=[len(example) for example in data.evaluated],
    )


def estimate(folder: Path, lengths: Lengths, hyper: TrainingHyper, *, speed: Speed | None = None) -> Estimate:
    """Of training the network in `folder` on this machine, or one of the given speed."""
    rows = _rows(lengths, hyper)
    widest = max(rows, key=lambda row: (sum(row), max(row)))
    share = lengths.supervised / sum(lengths.training)
    memory = _memory(folder, hyper, lengths, widest, share)
    usual = _usual(rows)
    cost = cost_of_row(folder, hyper.method, usual, supervised=share)
    speed = speed or measure_speed(hyper.threads)
    taken = duration.pass_time(cost, usual, speed)
    per_epoch = steps_per_epoch(len(lengths.training), hyper.batch_size)
    learning = _seconds(taken.learning, rows) / per_epoch
    evaluations, saves = _num_evaluations(lengths, hyper), _num_saves(lengths, hyper)
    samples = [[min(length, output.PARITY_TOKENS)] for length in (lengths.validation or lengths.training)]
    return Estimate(
        memory=memory,
        widest=tuple(widest),
        steps=per_epoch * hyper.epochs,
        step_s=learning + duration.update_seconds(cost, speed),
        evaluations=evaluations,
        evaluation_s=_seconds(taken.scoring, _packed(lengths.validation, hyper.token_budget)),
        saves=saves,
        save_s=_seconds(taken.scoring, samples[: output.PARITY_RECORDS])
        + cost.trained * 4 / duration.SAVED_BYTES_PER_S,
    )


def check(name: str, found: Estimate, folder: Path, lengths: Lengths, hyper: TrainingHyper, *, free: int) -> None:
    """Raises Invalid where the run needs more than `free` bytes, with what would make it fit."""
    if found.memory.total > free:
        budget = _fitting(folder, lengths, hyper, found, free)
        raise Invalid(
            f"{name}: training needs about {found.memory.to_text()}, and this machine has {gib(free)} free. "
            + _mend(found, hyper.method, budget)
        )


def free_on_gpu() -> int | None:
    """Bytes of the GPU's memory; None where a CPU trains."""
    if load.device().type != "cuda":
        return None
    return int(torch.cuda.mem_get_info()[0])


def clock(seconds: float) -> str:
    """As a person would say it: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _memory(folder: Path, hyper: TrainingHyper, lengths: Lengths, widest: Sequence[int], share: float) -> Memory:
    cost = cost_of_row(folder, hyper.method, widest, supervised=share)
    return memory_of(
        cost,
        own_weights=isinstance(hyper.method, Full),
        validated=bool(lengths.validation),
        on_gpu=load.device().type == "cuda",
    )


def _mend(found: Estimate, method: Method, budget: int | None) -> str:
    if budget is not None:
        return f"Set outcrop.tokensPerRow to {budget}: it then fits, and what is learned stays the same."
    if found.memory.row > found.memory.total / 2:
        return f"Shorten the longest records (the longest has {max(found.widest):,} tokens), or free some memory."
    other = "outcrop.method lora or " if isinstance(method, Full) else ""
    return f"Choose {other}a smaller base model, or free some memory."


def _fitting(folder: Path, lengths: Lengths, hyper: TrainingHyper, found: Estimate, free: int) -> int | None:
    """The largest half, quarter, … of the row's tokens with which the run fits; None if no such one does."""
    longest = max(lengths.training)
    budget = min(hyper.token_budget, sum(found.widest)) // 2
    share = lengths.supervised / sum(lengths.training)
    while budget >= max(_LEAST_BUDGET, longest):
        # Rows take nearly as much as they have tokens; only what should fit is traced.
        rest = found.memory.total - found.memory.row
        if rest + found.memory.row * budget / sum(found.widest) <= free:
            narrower = replace(hyper, token_budget=budget)
            widest = max(_rows(lengths, narrower), key=lambda row: (sum(row), max(row)))
            if _memory(folder, narrower, lengths, widest, share).total <= free:
                return budget
        budget //= 2
    return None


def _rows(lengths: Lengths, hyper: TrainingHyper) -> list[list[int]]:
    """Of the first epoch, as records lie in them."""
    num = len(lengths.training)
    rows: list[list[int]] = []
    for step in range(steps_per_epoch(num, hyper.batch_size)):
        batch = batch_at(step, num, batch_size=hyper.batch_size, seed=hyper.seed)
        rows += _packed([lengths.training[index] for index in batch], hyper.token_budget)
    return rows


def _packed(lengths: Sequence[int], budget: int) -> list[list[int]]:
    return [[lengths[index] for index in row] for row in pack(lengths, budget)]


def _usual(rows: Sequence[Sequence[int]]) -> list[int]:
    """A row with the mean number of records of mean length."""
    records = max(1, round(sum(map(len, rows)) / len(rows)))
    return [max(2, round(sum(map(sum, rows)) / len(rows) / records))] * records


def _seconds(taken: RowTime, rows: Sequence[Sequence[int]]) -> float:
    pairs = sum(length * length for row in rows for length in row)
    return taken.of(rows=len(rows), tokens=sum(map(sum, rows)), pairs=pairs)


def _num_saves(lengths: Lengths, hyper: TrainingHyper) -> int:
    """After each evaluation or epoch, at most as many as are kept; the first checkpoint, and the result."""
    within = _num_evaluations(lengths, hyper) - 2 if lengths.validation else hyper.epochs
    return 2 + min(within, model_checkpoints.MOST)


def _num_evaluations(lengths: Lengths, hyper: TrainingHyper) -> int:
    """With those of the base at the beginning and of the best weights at the end."""
    if not lengths.validation:
        return 0
    per_epoch = steps_per_epoch(len(lengths.training), hyper.batch_size)
    steps = per_epoch * hyper.epochs
    if hyper.evaluate_every_steps is not None:
        return 2 + len(steps_to_evaluate(steps, every=hyper.evaluate_every_steps))
    return 2 + len(evaluations(steps, per_epoch, sum(lengths.training), sum(lengths.validation), hyper))
