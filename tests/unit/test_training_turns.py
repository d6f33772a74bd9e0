"""Which lane takes which records when."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.data_parallel.row_schedule import Turn, most_tokens, plan

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=40)


def planned(lengths: list[int], budget: int, threads: int = 2) -> Turn:
    return plan(lengths, budget, threads=threads, most_lanes=8)


def busy(turn: Turn) -> float:
    """The share of all lanes' time until the end that rows take, if a token takes as long as any other."""
    return sum(turn.lengths) / turn.lanes / turn.end(turn.tokens)


@given(lengths=LENGTHS, budget=st.integers(1, 400), threads=st.integers(1, 9))
def test_every_record_is_taken_once_and_no_row_is_too_long(lengths: list[int], budget: int, threads: int) -> None:
    turn = planned(lengths, budget, threads)
    assert sorted(index for row in turn.rows for index in row.records) == list(range(len(lengths)))
    assert {row.lane for row in turn.rows} <= set(range(turn.lanes))
    for row in turn.rows:
        assert turn.tokens(row) <= max(budget // turn.lanes, max(lengths[index] for index in row.records))
        assert turn.tokens(row) <= turn.room


@given(lengths=LENGTHS, budget=st.integers(1, 400), seconds=st.randoms())
def test_the_end_lies_between_that_of_the_fullest_lane_and_of_all_in_turn(
    lengths: list[int], budget: int, seconds: random.Random
) -> None:
    turn = planned(lengths, budget)
    took = {row.records[0]: seconds.uniform(0.1, 5) for row in turn.rows}
    end = turn.end(lambda row: took[row.records[0]])
    lanes = [sum(took[row.records[0]] for row in turn.of_lane(lane)) for lane in range(turn.lanes)]
    assert max(lanes) - 1e-9 <= end <= sum(lanes) + 1e-9


def test_the_end_waits_for_room_and_for_the_rows_before() -> None:
    # Given a long record, and beside it room for the shorter ones one after the other
    turn = planned([700, 300, 300, 200, 200, 200], 1000)
    assert [(row.lane, [turn.lengths[index] for index in row.records]) for row in turn.rows] == [
        (0, [700]),
        (1, [300]),
        (1, [300]),
        (1, [200]),
        (0, [200]),
        (1, [200]),
    ]
    assert turn.end(turn.tokens) == 1000
    # When the long one takes longer, those that begin after it wait
    assert turn.end(lambda row: 2000 if row.records == [0] else 10) == 2010


@pytest.mark.parametrize(("num", "least"), [(8, 0.97), (16, 0.94), (64, 0.92)])
def test_lanes_are_busy_to_the_end(num: int, least: float) -> None:
    # Records of a step as instruction data has them: most are short, a few nearly as long as the budget
    generator = random.Random(3)
    drawn = [[min(1024, int(generator.lognormvariate(5.1, 0.8)) + 2) for _ in range(num)] for _ in range(100)]
    assert sum(busy(planned(lengths, 1024)) for lengths in drawn) / len(drawn) > least


@pytest.mark.parametrize(
    ("lengths", "threads", "num_lanes"),
    [
        ([], 2, 1),
        ([9], 4, 1),
        ([900, 900], 2, 2),
        ([900, 100], 2, 1),  # a lane of a tenth of the work would leave a thread idle
        ([500, 500, 500, 500], 4, 4),
        ([450, 450], 4, 2),
        ([50, 50], 2, 1),  # what each row takes beside its tokens is more than is saved
        ([500] * 40, 64, 8),
    ],
)
def test_as_many_lanes_as_end_soonest(lengths: list[int], threads: int, num_lanes: int) -> None:
    assert planned(lengths, 1024, threads).lanes == num_lanes


@pytest.mark.parametrize(
    ("lengths", "budget", "most"),
    [
        ([100, 200, 300], 1024, 1024),
        ([100, 200, 3000], 1024, 3000),
        ([1024, 1024, 1024], 1024, 2048),  # else one of two lanes would always wait
    ],
)
def test_as_many_tokens_at_a_time_as_keep_the_lanes_busy(lengths: list[int], budget: int, most: int) -> None:
    assert most_tokens(lengths, budget, num_lanes=2) == most
