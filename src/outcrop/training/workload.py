"""How the records of a run lie in rows, and the rows in lanes, by their lengths alone: lanes.py without the tensors.

A row is the lengths of its records, in tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from outcrop.network import load
from outcrop.network.method import Full
from outcrop.training import lanes
from outcrop.training.batches import batch_at, pack, steps_per_epoch
from outcrop.training.task import TrainingHyper

Row = Sequence[int]
Turn = Sequence[Sequence[Row]]
"What is computed until the last lane is done, a step or an evaluation: the rows of each lane."


class Crew(NamedTuple):
    """Threads of a process, and how many lanes they may make."""

    threads: int
    lanes: int


def crew_of(hyper: TrainingHyper) -> Crew:
    """As a run will have it on this machine; a GPU is one lane of one thread."""
    if load.device().type != "cpu":
        return Crew(1, 1)
    threads = hyper.threads or torch.get_num_threads()
    return Crew(threads, min(threads, lanes.MOST_WHOLE if isinstance(hyper.method, Full) else lanes.MOST))


def turn_of(lengths: Sequence[int], crew: Crew, token_budget: int) -> Turn:
    """Of records that are computed together; each lane has its part of the budget."""
    shares = lanes.split(lengths, crew.threads, crew.lanes)
    return [_rows([lengths[index] for index in share], token_budget // len(shares)) for share in shares]


def steps_of(lengths: Sequence[int], crew: Crew, hyper: TrainingHyper) -> list[Turn]:
    """The steps of the first epoch."""
    num = len(lengths)
    batches = (
        batch_at(step, num, batch_size=hyper.batch_size, seed=hyper.seed)
        for step in range(steps_per_epoch(num, hyper.batch_size))
    )
    return [turn_of([lengths[index] for index in batch], crew, hyper.token_budget) for batch in batches]


def most_at_once(turns: Sequence[Turn], token_budget: int) -> list[Row]:
    """The rows that are under way together when there are most tokens, the fullest first."""
    return max((_at_once(turn, token_budget) for turn in turns), key=lambda rows: (_tokens(rows), max(map(max, rows))))


def usual_row(turns: Sequence[Turn]) -> Row:
    """With the mean number of records of mean length."""
    rows = [row for turn in turns for lane in turn for row in lane]
    records = max(1, round(sum(map(len, rows)) / len(rows)))
    return [max(2, round(_tokens(rows) / len(rows) / records))] * records


def _rows(lengths: Sequence[int], token_budget: int) -> list[Row]:
    return [[lengths[index] for index in row] for row in pack(lengths, token_budget)]


def _at_once(turn: Turn, token_budget: int) -> list[Row]:
    """Of each lane the fullest row that the lanes before leave room for."""
    fullest_first = sorted(turn, key=lambda rows: -max(map(sum, rows)))
    lengths = [length for rows in turn for row in rows for length in row]
    room = lanes.most_tokens(lengths, token_budget, num_lanes=len(turn))
    chosen: list[Row] = []
    for rows in fullest_first:
        fitting = [row for row in rows if sum(row) <= room]
        if fitting:
            chosen.append(max(fitting, key=lambda row: (sum(row), max(row))))
            room -= sum(chosen[-1])
    return sorted(chosen, key=sum, reverse=True)


def _tokens(rows: Sequence[Row]) -> int:
    return sum(map(sum, rows))
