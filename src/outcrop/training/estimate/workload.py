"""The row schedules of a run, foreseen by the lengths of records alone.

They tell which rows take most memory, and which are usual.

A row is here the lengths of its records, in tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from outcrop.network import load
from outcrop.network.adapters.method import Full
from outcrop.network.fast.kernels.use import trusted
from outcrop.network.run_mode import RunMode
from outcrop.training.batches import batch_at, steps_per_epoch
from outcrop.training.data_parallel import worker_threads
from outcrop.training.data_parallel.row_schedule import RowSchedule, plan
from outcrop.training.task import TrainingHyper

Row = Sequence[int]


class Parallelism(NamedTuple):
    """How a training process computes side by side: its threads, and at most so many replicas of the network."""

    threads: int
    replicas: int
    way: RunMode = RunMode.PACKED


def parallelism_of(hyper: TrainingHyper, way: RunMode = RunMode.PACKED) -> Parallelism:
    """The threads and replicas of a run on this machine; a GPU is one replica of one thread."""
    if load.device().type != "cpu":
        return Parallelism(1, 1, way)
    threads = hyper.threads or torch.get_num_threads()
    return Parallelism(
        threads, min(threads, worker_threads.MOST_WHOLE if isinstance(hyper.method, Full) else worker_threads.MOST), way
    )


def computes_in_c(parallelism: Parallelism) -> bool:
    """Whether its replicas use the C kernels (fast/kernels/use.py), where it makes as many as it can."""
    return load.device().type == "cpu" and parallelism.threads <= parallelism.replicas and trusted() is not None


def schedule_of(lengths: Sequence[int], parallelism: Parallelism, token_budget: int) -> RowSchedule:
    """The row schedule of records that are computed together."""
    return plan(
        lengths, token_budget, threads=parallelism.threads, most_replicas=parallelism.replicas, way=parallelism.way
    )


def steps_of(lengths: Sequence[int], parallelism: Parallelism, hyper: TrainingHyper) -> list[RowSchedule]:
    """The row schedules of all steps of the first epoch."""
    num = len(lengths)
    batches = (
        batch_at(step, num, batch_size=hyper.batch_size, seed=hyper.seed)
        for step in range(steps_per_epoch(num, hyper.batch_size))
    )
    return [schedule_of([lengths[index] for index in batch], parallelism, hyper.token_budget) for batch in batches]


def most_at_once(schedules: Sequence[RowSchedule]) -> list[Row]:
    """The rows that are under way together when there are most tokens, the fullest first."""
    return max(map(_at_once, schedules), key=lambda rows: (_tokens(rows), max(map(max, rows))))


def usual_row(schedules: Sequence[RowSchedule]) -> Row:
    """A row with the mean number of records of mean length."""
    rows = [row for schedule in schedules for row in rows_of(schedule)]
    records = max(1, round(sum(map(len, rows)) / len(rows)))
    return [max(2, round(_tokens(rows) / len(rows) / records))] * records


def rows_of(schedule: RowSchedule, replica: int | None = None) -> list[Row]:
    """The rows of one replica of a schedule, or of all."""
    rows = [row for row in schedule.rows if replica is None or row.replica == replica]
    return [[schedule.lengths[index] for index in row.records] for row in rows]


def _at_once(schedule: RowSchedule) -> list[Row]:
    """The fullest row of each replica that the replicas before leave room for."""
    by_replica = [rows_of(schedule, replica) for replica in range(schedule.replicas)]
    room = schedule.room
    chosen: list[Row] = []
    for rows in sorted(filter(None, by_replica), key=lambda rows: -max(map(sum, rows))):
        fitting = [row for row in rows if sum(row) <= room]
        if fitting:
            chosen.append(max(fitting, key=lambda row: (sum(row), max(row))))
            room -= sum(chosen[-1])
    return sorted(chosen, key=sum, reverse=True)


def _tokens(rows: Sequence[Row]) -> int:
    return sum(map(sum, rows))
