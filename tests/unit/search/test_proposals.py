"""Proposals of hyperparameters: seeds, spaces, and that learning beats chance."""

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.sagemaker.tuning.ranges import read
from outcrop.search import ranges
from outcrop.search.proposals import TriedPoint, propose
from outcrop.search.ranges import Space, Value
from outcrop.search.strategy import Strategy

SPACE = read(
    "R",
    {
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "1e-5", "MaxValue": "1e-1"},
            {"Name": "momentum", "MinValue": "0", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
        ],
        "IntegerParameterRanges": [{"Name": "width", "MinValue": "1", "MaxValue": "64"}],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
    },
)


def cost(point: dict[str, Value]) -> float:
    rate, width, momentum = (float(point[name]) for name in ("rate", "width", "momentum"))
    return (math.log10(rate) + 3) ** 2 + (width - 20) ** 2 / 400 + (point["kind"] == "b") / 2 + (momentum - 0.9) ** 2


def searched(strategy: Strategy, seed: int, most: int = 30) -> list[TriedPoint]:
    tried: list[TriedPoint] = []
    for number in range(most):
        point = propose(SPACE, tried, strategy=strategy, seed=seed, number=number, most=most)
        assert point is not None, "only a grid ends"
        tried.append(TriedPoint(values=point, cost=cost(point)))
    return tried


def test_what_learns_finds_better_points_than_chance() -> None:
    def typical(strategy: Strategy) -> float:
        return statistics.median(min(each.cost or 0 for each in searched(strategy, seed)) for seed in range(5))

    assert typical(Strategy.BAYESIAN) < typical(Strategy.RANDOM) / 2


@pytest.mark.parametrize("strategy", [Strategy.RANDOM, Strategy.BAYESIAN, Strategy.HYPERBAND])
def test_one_seed_is_one_search_and_another_is_another(strategy: Strategy) -> None:
    assert searched(strategy, 1, 8) == searched(strategy, 1, 8)
    assert searched(strategy, 1, 8) != searched(strategy, 2, 8)


def space(given: dict[str, Any]) -> Space:
    return read("R", given)


@given(
    st.sampled_from(list(Strategy)[:3]),
    st.floats(1e-6, 1e6),
    st.floats(1, 1e6),
    st.integers(-50, 50),
    st.integers(0, 300),
    st.sampled_from(["Auto", "Linear", "Logarithmic"]),
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=12),
)
def test_a_point_lies_in_its_space_whatever_is_known(
    strategy: Strategy, least: float, times: float, first: int, more: int, scaling: str, costs: list[float | None]
) -> None:
    found = space(
        {
            "ContinuousParameterRanges": [
                {"Name": "x", "MinValue": repr(least), "MaxValue": repr(least * times), "ScalingType": scaling},
                {"Name": "y", "MinValue": "0.5", "MaxValue": "0.9999", "ScalingType": "ReverseLogarithmic"},
            ],
            "IntegerParameterRanges": [{"Name": "n", "MinValue": str(first), "MaxValue": str(first + more)}],
        }
    )
    tried: list[TriedPoint] = []
    for number, each in enumerate([*costs, 0.0]):
        point = propose(found, tried, strategy=strategy, seed=number, number=number, most=12)
        assert point is not None
        texts = ranges.texts(found, point)
        assert ranges.values(found, texts) == point, "its texts are read as what they were"
        tried.append(TriedPoint(values=point, cost=each, has_ended=number % 3 > 0))


def test_a_small_space_is_gone_through_before_anything_comes_twice() -> None:
    small = space({"IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "5"}]})
    for strategy in (Strategy.RANDOM, Strategy.BAYESIAN):
        tried: list[TriedPoint] = []
        for number in range(5):
            point = propose(small, tried, strategy=strategy, seed=4, number=number, most=5)
            assert point is not None
            tried.append(TriedPoint(values=point, cost=float(point["n"])))
        assert len({each.values["n"] for each in tried}) >= 4


def test_a_grid_ends() -> None:
    small = space({"CategoricalParameterRanges": [{"Name": "k", "Values": ["a", "b"]}]})
    points = [propose(small, [], strategy=Strategy.GRID, seed=0, number=number, most=2) for number in range(3)]
    assert points == [{"k": "a"}, {"k": "b"}, None]
