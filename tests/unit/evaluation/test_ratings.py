"""Ratings out of votes: their scale, their intervals, and what a few votes may not say."""

import numpy as np
import pytest

from outcrop.evaluation.statistics.ratings import AnswerVote, rate


def votes(models: str, **best: int) -> list[AnswerVote]:
    return [AnswerVote(tuple(models), None if name == "none" else name) for name, num in best.items() for _ in range(num)]  # fmt: skip


def test_ten_times_the_wins_are_about_400_points() -> None:
    better, worse = rate(votes("ab", a=10_000, b=1_000))
    assert (better.model, better.num_votes, better.num_won) == ("a", 11_000, 10_000)
    assert better.rating - worse.rating == pytest.approx(400, abs=1)
    assert (better.rating + worse.rating) / 2 == pytest.approx(1000)
    assert not worse.may_be_best


def test_draws_alone_tell_nobody_apart() -> None:
    first, second = rate(votes("ab", none=20))
    assert [first.rating, second.rating] == pytest.approx([1000, 1000])
    assert first.num_drawn == 20
    assert second.may_be_best


def test_three_votes_of_three_are_no_proof() -> None:
    better, worse = rate(votes("ab", a=3))
    assert better.interval.low < 1000 < better.interval.high
    assert worse.may_be_best
    assert not rate(votes("ab", a=20))[1].may_be_best


def test_a_best_of_four_is_one_vote_and_not_three() -> None:
    of_four = rate(votes("abcd", a=8, b=4, c=2, d=1))
    assert [each.model for each in of_four] == ["a", "b", "c", "d"]
    assert (of_four[0].num_votes, of_four[0].num_won) == (15, 8)
    wide = of_four[0].interval.high - of_four[0].interval.low
    pairs = rate([*votes("ab", a=8, b=4), *votes("ac", a=8, c=2), *votes("ad", a=8, d=1)])
    assert wide > pairs[0].interval.high - pairs[0].interval.low


def test_models_that_never_met_are_held_together_by_those_between() -> None:
    found = {each.model: each.rating for each in rate([*votes("ab", a=30, b=10), *votes("bc", b=30, c=10)])}
    assert found["a"] > found["b"] > found["c"]


def test_nothing_is_rated_by_nothing() -> None:
    assert rate([]) == []
    assert rate([AnswerVote(("a",), "a"), AnswerVote(("a", "a"), "a")]) == []


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    logs_K = np.array([0.8, 0.1, -0.3, -0.6])
    truth_K = 1000 + 400 / np.log(10) * logs_K
    held = []
    for _ in range(50):
        cast = []
        for _ in range(60):
            field = generator.permutation(4)[: generator.integers(2, 5)]
            shares = np.exp(logs_K[field]) / np.exp(logs_K[field]).sum()
            cast.append(AnswerVote(tuple("abcd"[at] for at in field), "abcd"[generator.choice(field, p=shares)]))
        for each in rate(cast):
            truth = truth_K["abcd".index(each.model)]
            held.append(each.interval.low <= truth <= each.interval.high)
    assert 0.92 <= float(np.mean(held)) <= 0.99
