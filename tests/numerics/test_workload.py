"""What is foreseen of rows and lanes, by lengths alone, is what the lanes then do."""

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.batches import Row
from outcrop.training.data_parallel.row_schedule import Planned, Turn
from outcrop.training.data_parallel.worker_threads import Lane
from outcrop.training.estimate.workload import (
    Crew,
    most_at_once,
    rows_of,
    turn_of,
    usual_row,
)
from tests.numerics.test_lanes import LENGTHS, on
from tests.numerics.test_training_loss import example
from tests.support.tiny import tiny_model


@pytest.mark.parametrize(("threads", "budget"), [(1, 64), (2, 64), (3, 40), (3, 1024)])
def test_lanes_take_the_rows_that_were_foreseen(threads: int, budget: int, tmp_path: Path) -> None:
    lanes = on(threads, tiny_model(tmp_path / "base", "llama"), tmp_path).lanes
    generator = random.Random(5)
    taken: dict[int, list[list[int]]] = {}

    def take(lane: Lane, row: Row) -> float:
        taken.setdefault(lane.number, []).append(list(row.layout.lengths))
        return 0.0

    lanes.sum([example(generator, length) for length in LENGTHS], budget, take)
    foreseen = turn_of(LENGTHS, Crew(threads, lanes.most), budget)
    assert taken == {lane: rows_of(foreseen, lane) for lane in range(foreseen.lanes)}


def turn(*lanes: list[list[int]], room: int) -> Turn:
    """Of so many lanes, whose rows have records of these lengths."""
    numbers = itertools.count()
    lengths = [length for rows in lanes for row in rows for length in row]
    rows = [Planned(lane, [next(numbers) for _ in row]) for lane, rows in enumerate(lanes) for row in rows]
    return Turn(lengths=lengths, rows=rows, lanes=len(lanes), room=room)


def test_a_row_is_chosen_that_fits_beside_the_fullest() -> None:
    # Given two lanes, of which the first has a record as long as there is room in all
    lanes = [[100], [20]], [[60], [30, 10]]
    # Then the second one's rows of 60 and of 40 wait for it
    assert most_at_once([turn(*lanes, room=100)]) == [[100]]
    assert most_at_once([turn(*lanes, room=145)]) == [[100], [30, 10]]
    assert most_at_once([turn(*lanes, room=145), turn([[170]], room=170)]) == [[170]]


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12), budget=st.integers(1, 100))
def test_no_more_is_under_way_than_there_is_room_for(lengths: list[int], budget: int) -> None:
    planned = turn_of(lengths, Crew(4, 4), budget)
    at_once = most_at_once([planned])
    assert len(at_once) <= planned.lanes
    assert sum(map(sum, at_once)) <= planned.room


def test_the_usual_row_holds_the_usual_records() -> None:
    assert usual_row([turn([[10, 20], [30]], [[20, 20, 20]], room=100)]) == [20, 20]
