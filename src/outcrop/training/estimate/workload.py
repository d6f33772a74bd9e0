"""The turns of a run, and the rows that take most memory or are usual among them, by the lengths of records alone.

A row is here the lengths of its records, in tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from outcrop.kernels.use import trusted
from outcrop.network import load
from outcrop.network.method import Full
from outcrop.network.way import Way
from outcrop.training.batches import batch_at, steps_per_epoch
from outcrop.training.data_parallel import worker_threads
from outcrop.training.data_parallel.row_schedule import Turn, plan
from outcrop.training.task import TrainingHyper

Row = Sequence[int]


class Crew(NamedTuple):
    """Threads of a process, and how many lanes they may make."""

    threads: int
    lanes: int
    way: Way = Way.PACKED


def crew_of(hyper: TrainingHyper, way: Way = Way.PACKED) -> Crew:
    """As a run will have it on this machine; a GPU is one lane of one thread."""
    if load.device().type != "cpu":
        return Crew(1, 1, way)
    threads = hyper.threads or torch.get_num_threads()
    return Crew(
        threads, min(threads, worker_threads.MOST_WHOLE if isinstance(hyper.method, Full) else worker_threads.MOST), way
    )


def computes_in_c(crew: Crew) -> bool:
    """Whether its lanes use the C kernels (kernels/use.py), where it makes as many as it can."""
    return load.device().type == "cpu" and crew.threads <= crew.lanes and trusted() is not None


def turn_of(lengths: Sequence[int], crew: Crew, token_budget: int) -> Turn:
    """Of records that are computed together."""
    return plan(lengths, token_budget, threads=crew.threads, most_lanes=crew.lanes, way=crew.way)


def steps_of(lengths: Sequence[int], crew: Crew, hyper: TrainingHyper) -> list[Turn]:
    """The steps of the first epoch."""
    num = len(lengths)
    batches = (
        batch_at(step, num, batch_size=hyper.batch_size, seed=hyper.seed)
        for step in range(steps_per_epoch(num, hyper.batch_size))
    )
    return [turn_of([lengths[index] for index in batch], crew, hyper.token_budget) for batch in batches]


def most_at_once(turns: Sequence[Turn]) -> list[Row]:
    """The rows that are under way together when there are most tokens, the fullest first."""
    return max(map(_at_once, turns), key=lambda rows: (_tokens(rows), max(map(max, rows))))


def usual_row(turns: Sequence[Turn]) -> Row:
    """With the mean number of records of mean length."""
    rows = [row for turn in turns for row in rows_of(turn)]
    records = max(1, round(sum(map(len, rows)) / len(rows)))
    return [max(2, round(_tokens(rows) / len(rows) / records))] * records


def rows_of(turn: Turn, lane: int | None = None) -> list[Row]:
    """Of one lane, or all."""
    rows = [row for row in turn.rows if lane is None or row.lane == lane]
    return [[turn.lengths[index] for index in row.records] for row in rows]


def _at_once(turn: Turn) -> list[Row]:
    """Of each lane the fullest row that the lanes before leave room for."""
    lanes = [rows_of(turn, lane) for lane in range(turn.lanes)]
    room = turn.room
    chosen: list[Row] = []
    for rows in sorted(filter(None, lanes), key=lambda rows: -max(map(sum, rows))):
        fitting = [row for row in rows if sum(row) <= room]
        if fitting:
            chosen.append(max(fitting, key=lambda row: (sum(row), max(row))))
            room -= sum(chosen[-1])
    return sorted(chosen, key=sum, reverse=True)


def _tokens(rows: Sequence[Row]) -> int:
    return sum(map(sum, rows))
