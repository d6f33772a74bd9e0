"""Requirements of a run, memory and time, estimated before anything of it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from outcrop.network import load
from outcrop.network.adapters.method import Full
from outcrop.network.run_mode import RunMode
from outcrop.training import expectation
from outcrop.training.batches import steps_per_epoch
from outcrop.training.checkpoints import model_checkpoints
from outcrop.training.data import TrainingData
from outcrop.training.data_parallel.row_schedule import RowSchedule
from outcrop.training.estimate import duration
from outcrop.training.estimate.duration import Speed, measure_speed
from outcrop.training.estimate.memory import Holding, PeakMemory, memory_of
from outcrop.training.estimate.tracing import Cost, RowOptions, cost_of_row
from outcrop.training.estimate.workload import (
    Parallelism,
    Row,
    computes_in_c,
    most_at_once,
    parallelism_of,
    schedule_of,
    steps_of,
    usual_row,
)
from outcrop.training.plan import evaluations
from outcrop.training.task import TrainingHyper

_PACKED = RunMode.PACKED


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The lengths of the sequences that a run learns from and is validated on, in tokens."""

    training: Sequence[int]
    supervised: int
    "How many of all of them are learned."
    validation: Sequence[int] = ()
    "Of the first validator."

    @property
    def share(self) -> float:
        """The fraction of the training tokens that are supervised."""
        return self.supervised / sum(self.training)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The memory and time that a training run will need, to its last epoch."""

    memory: PeakMemory
    at_once: tuple[tuple[int, ...], ...]
    "Lengths of the records in each of the rows that are under way when there are most tokens."
    steps: int
    rows: int
    "Of an epoch, in which its records lie side by side."
    row_tokens: int
    "Of all those rows."
    step_s: float
    "Of a step, on average."
    evaluations: int
    evaluation_s: float
    saves: int
    "Of what is trained: model checkpoints, the first checkpoint, and the result."
    save_s: float
    "With the log probabilities that go into each."

    @property
    def tokens_at_once(self) -> int:
        return sum(map(sum, self.at_once))

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


def lengths_of(data: TrainingData) -> Lengths:
    return Lengths(
        training=[len(example) for example in data.examples],
        supervised=sum(example.num_supervised for example in data.examples),
        validation=[len(example) for example in data.evaluated],
    )


def estimate(
    folder: Path, lengths: Lengths, hyper: TrainingHyper, *, speed: Speed | None = None, way: RunMode = _PACKED
) -> Estimate:
    """The memory and time to train the network in `folder` on this machine, or one of the given speed."""
    parallelism = parallelism_of(hyper, way)
    steps = steps_of(lengths.training, parallelism, hyper)
    usual = usual_row(steps)
    cost = cost_of_row(folder, hyper.method, usual, supervised=lengths.share, way=_way(parallelism, hyper))
    speed = speed or measure_speed(parallelism.threads)
    taken = duration.pass_time(cost, usual, speed)
    per_epoch = steps_per_epoch(len(lengths.training), hyper.batch_size)
    evaluated = _evaluated(lengths, parallelism, hyper)
    expected = expectation.forwards(lengths.validation or lengths.training)
    num_steps = per_epoch * hyper.epochs
    evaluate_after = evaluations(num_steps, per_epoch, sum(lengths.training), sum(lengths.validation), hyper)
    saves = model_checkpoints.spread(
        sorted(evaluate_after) or list(range(per_epoch, num_steps + 1, per_epoch)),
        validated=bool(evaluate_after),
        num_bytes=max(1, round(cost.trained * 4)),
    )
    update_s = duration.update_seconds(
        cost, speed, parallelism.threads, num_replicas=_most_replicas([*steps, *evaluated])
    )
    return Estimate(
        memory=memory_needed(folder, lengths, hyper, way),
        at_once=tuple(map(tuple, most_at_once(steps))),
        steps=num_steps,
        rows=sum(len(schedule.rows) for schedule in steps),
        row_tokens=sum(lengths.training),
        step_s=sum(taken.learning.of_schedule(schedule, parallelism.threads) for schedule in steps) / per_epoch
        + update_s,
        evaluations=1 + len(evaluate_after) if evaluate_after else 0,
        evaluation_s=sum(taken.scoring.of_schedule(schedule, parallelism.threads) for schedule in evaluated),
        saves=2 + saves.most,
        save_s=sum(taken.scoring.of([length]) for length in expected) / duration.shared(parallelism.threads)
        + cost.trained * 4 / duration.SAVED_BYTES_PER_S,
    )


def memory_needed(folder: Path, lengths: Lengths, hyper: TrainingHyper, way: RunMode = _PACKED) -> PeakMemory:
    parallelism = parallelism_of(hyper, way)
    steps = steps_of(lengths.training, parallelism, hyper)
    at_once = most_at_once(steps)
    fullest, emptiest = at_once[0], at_once[-1]

    def cost_of(row: Row) -> Cost:
        return cost_of_row(folder, hyper.method, row, supervised=lengths.share, way=_way(parallelism, hyper))

    most = cost_of(fullest)
    least = most if sum(emptiest) == sum(fullest) else cost_of(emptiest)
    holding = Holding(
        replicas=_most_replicas([*steps, *_evaluated(lengths, parallelism, hyper)]),
        own_weights=isinstance(hyper.method, Full),
        validated=bool(lengths.validation),
        on_gpu=load.device().type == "cuda",
    )
    return memory_of(most, _between(at_once, most.peak, least.peak), holding)


def _way(parallelism: Parallelism, hyper: TrainingHyper) -> RowOptions:
    return RowOptions(
        in_c=computes_in_c(parallelism), gradient_checkpointing=hyper.gradient_checkpointing, network=parallelism.way
    )


def free_on_gpu() -> int | None:
    """Bytes of the GPU's memory; None where a CPU trains."""
    if load.device().type != "cuda":
        return None
    return int(torch.cuda.mem_get_info()[0])


def clock(seconds: float) -> str:
    """A duration as a person would say it: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _evaluated(lengths: Lengths, parallelism: Parallelism, hyper: TrainingHyper) -> list[RowSchedule]:
    return [schedule_of(lengths.validation, parallelism, hyper.token_budget)] if lengths.validation else []


def _most_replicas(schedules: Sequence[RowSchedule]) -> int:
    return max(schedule.replicas for schedule in schedules)


def _between(rows: Sequence[Row], first: float, last: float) -> list[float]:
    """The peak of each row, from those of the first and the last: it grows with the tokens."""
    most, least = sum(rows[0]), sum(rows[-1])
    slope = (first - last) / (most - least) if most > least else 0.0
    return [first - slope * (most - sum(row)) for row in rows]
