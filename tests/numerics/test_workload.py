"""What is foreseen of rows and replicas, by lengths alone, is what the replicas then do."""

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.batches import PackedRow
from outcrop.training.data_parallel.row_schedule import RowSchedule, ScheduledRow
from outcrop.training.data_parallel.worker_threads import Replica
from outcrop.training.estimate.workload import (
    Parallelism,
    most_at_once,
    rows_of,
    schedule_of,
    usual_row,
)
from tests.numerics.test_lanes import LENGTHS, on
from tests.numerics.test_training_loss import example
from tests.support.tiny import tiny_model


@pytest.mark.parametrize(("threads", "budget"), [(1, 64), (2, 64), (3, 40), (3, 1024)])
def test_replicas_take_the_rows_that_were_foreseen(threads: int, budget: int, tmp_path: Path) -> None:
    replicas = on(threads, tiny_model(tmp_path / "base", "llama"), tmp_path).replicas
    generator = random.Random(5)
    taken: dict[int, list[list[int]]] = {}

    def take(replica: Replica, row: PackedRow) -> float:
        taken.setdefault(replica.number, []).append(list(row.layout.lengths))
        return 0.0

    replicas.sum([example(generator, length) for length in LENGTHS], budget, take)
    foreseen = schedule_of(LENGTHS, Parallelism(threads, replicas.most), budget)
    assert taken == {replica: rows_of(foreseen, replica) for replica in range(foreseen.replicas)}


def schedule(*replicas: list[list[int]], room: int) -> RowSchedule:
    """The row schedule of so many replicas, whose rows have records of these lengths."""
    numbers = itertools.count()
    lengths = [length for rows in replicas for row in rows for length in row]
    rows = [
        ScheduledRow(replica, [next(numbers) for _ in row]) for replica, rows in enumerate(replicas) for row in rows
    ]
    return RowSchedule(lengths=lengths, rows=rows, replicas=len(replicas), room=room)


def test_a_row_is_chosen_that_fits_beside_the_fullest() -> None:
    # Given two replicas, of which the first has a record as long as there is room in all
    replicas = [[100], [20]], [[60], [30, 10]]
    # Then the second one's rows of 60 and of 40 wait for it
    assert most_at_once([schedule(*replicas, room=100)]) == [[100]]
    assert most_at_once([schedule(*replicas, room=145)]) == [[100], [30, 10]]
    assert most_at_once([schedule(*replicas, room=145), schedule([[170]], room=170)]) == [[170]]


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12), budget=st.integers(1, 100))
def test_no_more_is_under_way_than_there_is_room_for(lengths: list[int], budget: int) -> None:
    planned = schedule_of(lengths, Parallelism(4, 4), budget)
    at_once = most_at_once([planned])
    assert len(at_once) <= planned.replicas
    assert sum(map(sum, at_once)) <= planned.room


def test_the_usual_row_holds_the_usual_records() -> None:
    assert usual_row([schedule([[10, 20], [30]], [[20, 20, 20]], room=100)]) == [20, 20]
