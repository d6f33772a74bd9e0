"""What a model unit is: measured through an engine, kept, divided, and measured anew when its record is of no use."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from outcrop.catalog.base_model import BaseModel
from outcrop.clock import MovableClock
from outcrop.deployments.model_units import MeasuredRate, ModelUnits, measure, network_name, units_of
from outcrop.deployments.states import FAILED, THROUGHPUT
from outcrop.engines.protocol import ServingEngine
from outcrop.inference.client import GreedyAnswer
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from outcrop.store.store import Store

BASE = BaseModel(
    id="local.small-v1", context="2k", name="small", provider="local", context_length=2048, engine="local.small-v1"
)
RATE = MeasuredRate(
    network="local.small-v1", tokens_per_minute=8000.0, measured=MovableClock().now(), num_streams=8, seconds=2.0
)


class TimedEngine:
    """An engine whose rounds take the seconds it is told, on a watch of its own."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.watch = 100.0
        self.rounds: list[list[list[int]]] = []
        self._seconds = list(seconds)

    def now(self) -> float:
        return self.watch

    async def answer_greedily(self, model: str, prompts: list[list[int]], *, num_tokens: int) -> list[GreedyAnswer]:
        assert model == "base"
        self.rounds.append(prompts)
        self.watch += self._seconds[len(self.rounds) - 1]
        return [GreedyAnswer([7] * num_tokens, [-1.0] * num_tokens) for _ in prompts]


def measured(engine: TimedEngine, *, context_length: int = 2048) -> Any:
    return asyncio.run(measure(cast(ServingEngine, engine), "base", context_length=context_length, now=engine.now))


@pytest.fixture
def units(tmp_path: Path) -> ModelUnits:
    return ModelUnits(Store.open(Settings(home=tmp_path)), MovableClock(), 4)


def test_the_fastest_of_three_rounds_counts_prompts_and_answers(units: ModelUnits) -> None:
    engine = TimedEngine([4.0, 2.0, 3.0])
    found = measured(engine)
    assert (found.num_tokens, found.seconds) == (8 * (64 + 32), 2.0)
    assert len(engine.rounds) == 3


def test_a_large_network_is_asked_once(units: ModelUnits) -> None:
    engine = TimedEngine([25.0])
    assert measured(engine).seconds == 25.0


def test_no_two_prompts_begin_alike_and_every_id_is_in_a_small_vocabulary() -> None:
    engine = TimedEngine([1.0, 1.0, 1.0])
    measured(engine)
    prompts = [tuple(prompt) for prompts in engine.rounds for prompt in prompts]
    assert len({prompt[0] for prompt in prompts}) == len(prompts) == 24
    assert {len(prompt) for prompt in prompts} == {64}
    assert all(0 <= token < 64 for prompt in prompts for token in prompt)


@pytest.mark.parametrize("context_length", [1, 2, 4, 16, 100])
def test_a_short_context_is_not_exceeded(context_length: int) -> None:
    engine = TimedEngine([1.0, 1.0, 1.0])
    found = measured(engine, context_length=context_length)
    assert all(len(prompt) >= 1 for prompts in engine.rounds for prompt in prompts)
    assert found.num_tokens / 8 <= max(2, context_length)


def test_a_rate_is_of_the_network_below_whatever_holds_it(units: ModelUnits) -> None:
    units.write(RATE)
    own = replace(BASE, engine="local.small-v1@abcdefghijkl")
    assert network_name(own) == "local.small-v1"
    assert units.rate_of(own) == units.rate_of(BASE) == RATE
    assert units.tokens_per_minute(BASE, 1) == 2000
    assert units.tokens_per_minute(own, 3) == 6000
    assert units.tokens_per_minute(replace(BASE, engine="another"), 1) is None


@pytest.mark.parametrize(
    "damage", [{}, {"tokensPerMinute": "fast", "streams": 8, "seconds": 1}, {"tokensPerMinute": -1}]
)
def test_a_damaged_rate_counts_as_none_and_is_written_anew(units: ModelUnits, damage: dict[str, Any]) -> None:
    units.write(replace(RATE, tokens_per_minute=1.0))
    row = units._resources.get("model-unit/local.small-v1")
    assert row is not None
    units._resources.replace(row, at=RATE.measured, document=damage)
    assert units.rate_of(BASE) is None
    assert units.all() == []
    units.write(RATE)
    assert units.all() == [RATE]


@pytest.mark.parametrize(
    ("status", "document", "num_units"),
    [
        ("InService", {"modelUnits": 2}, 2),
        ("Creating", {"modelUnits": 1}, 1),
        (FAILED, {"modelUnits": 3}, 0),
        ("InService", {"modelUnits": "two"}, 0),
        ("InService", {}, 0),
    ],
)
def test_units_are_those_of_what_serves_or_will(status: str, document: dict[str, Any], num_units: int) -> None:
    at = MovableClock().now()
    row = Resource(
        arn="arn:pt", kind=THROUGHPUT, region="r", name="pt", status=status, created=at, updated=at, document=document
    )
    assert units_of(row) == num_units
