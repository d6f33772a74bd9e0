"""The row schedule of training: which replica takes which records when."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.training.data_parallel.row_schedule import RowSchedule, most_tokens, plan

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=40)


def planned(lengths: list[int], budget: int, threads: int = 2) -> RowSchedule:
    return plan(lengths, budget, threads=threads, most_replicas=8)


def busy(schedule: RowSchedule) -> float:
    """The share of all replicas' time until the end that rows take, if a token takes as long as any other."""
    return sum(schedule.lengths) / schedule.replicas / schedule.end(schedule.tokens)


@given(lengths=LENGTHS, budget=st.integers(1, 400), threads=st.integers(1, 9))
def test_every_record_is_taken_once_and_no_row_is_too_long(lengths: list[int], budget: int, threads: int) -> None:
    schedule = planned(lengths, budget, threads)
    assert sorted(index for row in schedule.rows for index in row.records) == list(range(len(lengths)))
    assert {row.replica for row in schedule.rows} <= set(range(schedule.replicas))
    for row in schedule.rows:
        assert schedule.tokens(row) <= max(budget // schedule.replicas, max(lengths[index] for index in row.records))
        assert schedule.tokens(row) <= schedule.room


@given(lengths=LENGTHS, budget=st.integers(1, 400), seconds=st.randoms())
def test_the_end_lies_between_that_of_the_fullest_replica_and_of_all_in_turn(
    lengths: list[int], budget: int, seconds: random.Random
) -> None:
    schedule = planned(lengths, budget)
    took = {row.records[0]: seconds.uniform(0.1, 5) for row in schedule.rows}
    end = schedule.end(lambda row: took[row.records[0]])
    replicas = [
        sum(took[row.records[0]] for row in schedule.of_replica(replica)) for replica in range(schedule.replicas)
    ]
    assert max(replicas) - 1e-9 <= end <= sum(replicas) + 1e-9


def test_the_end_waits_for_room_and_for_the_rows_before() -> None:
    # Given a long record, and beside it room for the shorter ones one after the other
    schedule = planned([700, 300, 300, 200, 200, 200], 1000)
    assert [(row.replica, [schedule.lengths[index] for index in row.records]) for row in schedule.rows] == [
        (0, [700]),
        (1, [300]),
        (1, [300]),
        (1, [200]),
        (0, [200]),
        (1, [200]),
    ]
    assert schedule.end(schedule.tokens) == 1000
    # When the long one takes longer, those that begin after it wait
    assert schedule.end(lambda row: 2000 if row.records == [0] else 10) == 2010


@pytest.mark.parametrize(("num", "least"), [(8, 0.97), (16, 0.94), (64, 0.92)])
def test_replicas_are_busy_to_the_end(num: int, least: float) -> None:
    # Records of a step as instruction data has them: most are short, a few nearly as long as the budget
    generator = random.Random(3)
    drawn = [[min(1024, int(generator.lognormvariate(5.1, 0.8)) + 2) for _ in range(num)] for _ in range(100)]
    assert sum(busy(planned(lengths, 1024)) for lengths in drawn) / len(drawn) > least


@pytest.mark.parametrize(
    ("lengths", "threads", "num_replicas"),
    [
        ([], 2, 1),
        ([9], 4, 1),
        ([900, 900], 2, 2),
        ([900, 100], 2, 1),  # a replica of a tenth of the work would leave a thread idle
        ([500, 500, 500, 500], 4, 4),
        ([450, 450], 4, 2),
        ([50, 50], 2, 1),  # what each row takes beside its tokens is more than is saved
        ([500] * 40, 64, 8),
    ],
)
def test_as_many_replicas_as_end_soonest(lengths: list[int], threads: int, num_replicas: int) -> None:
    assert planned(lengths, 1024, threads).replicas == num_replicas


@pytest.mark.parametrize(
    ("lengths", "budget", "most"),
    [
        ([100, 200, 300], 1024, 1024),
        ([100, 200, 3000], 1024, 3000),
        ([1024, 1024, 1024], 1024, 2048),  # else one of two replicas would always wait
    ],
)
def test_as_many_tokens_at_a_time_as_keep_the_replicas_busy(lengths: list[int], budget: int, most: int) -> None:
    assert most_tokens(lengths, budget, num_replicas=2) == most
