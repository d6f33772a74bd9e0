"""Proposals of hyperparameters: which point of a space is tried next, after what is known of others.

A proposal follows from the seed, the number of the training job and what is known, and from nothing else: a worker
that takes a tuning job up after a kill proposes what its predecessor would have. Optuna chooses the points, at random
or with its tree-structured Parzen estimator: https://arxiv.org/abs/2304.11127
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from outcrop.search import ranges
from outcrop.search.ranges import (
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    ParameterRange,
    ScalingType,
    Space,
    Value,
)
from outcrop.search.strategy import Strategy

_RANDOM_FIRST = 10
_LEAST_RANDOM_FIRST = 3
_LEARNED_ATTEMPTS = 4
_ATTEMPTS = 24
"Tries for a point that was not tried yet, the later ones at random; a small space has none any more."


@dataclass(frozen=True, kw_only=True)
class TriedPoint:
    """A point that a training job has, or had."""

    values: dict[str, Value]
    cost: float | None
    "Of which less is better; None while it is not known, or where it never will be."
    has_ended: bool = True


def propose(
    space: Space, tried: Sequence[TriedPoint], *, strategy: Strategy, seed: int, number: int, most: int
) -> dict[str, Value] | None:
    """The point of the training job with this number, from 0; None when a grid has no further one.

    `most` is the number of training jobs in all: of few, fewer are spent on a first look around.
    """
    if strategy is Strategy.GRID:
        return next((point for place, point in enumerate(ranges.points(space)) if place == number), None)
    before = [each.values for each in tried]
    point: dict[str, Value] = {}
    for attempt in range(_ATTEMPTS):
        own = _seed(seed, number, attempt)
        sampler: BaseSampler = RandomSampler(seed=own)
        if strategy is not Strategy.RANDOM and attempt < _LEARNED_ATTEMPTS:
            first = max(_LEAST_RANDOM_FIRST, min(_RANDOM_FIRST, most // 3))
            sampler = TPESampler(seed=own, n_startup_trials=first)
        point = _sampled(space, () if strategy is Strategy.RANDOM else tried, sampler)
        if point not in before:
            break
    return point


def _sampled(space: Space, tried: Sequence[TriedPoint], sampler: BaseSampler) -> dict[str, Value]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    distributions = {name: _distribution(each) for name, each in space.items()}
    for each in tried:
        study.add_trial(
            create_trial(
                state=_state(each),
                value=each.cost,
                params={name: _inside(space[name], value) for name, value in each.values.items()},
                distributions=distributions,
            )
        )
    asked = study.ask(distributions)
    return {name: _outside(space[name], value) for name, value in asked.params.items()}


def _state(tried: TriedPoint) -> TrialState:
    if tried.cost is not None:
        return TrialState.COMPLETE
    return TrialState.FAIL if tried.has_ended else TrialState.RUNNING


def _distribution(of: ParameterRange) -> BaseDistribution:
    match of:
        case IntegerRange():
            return IntDistribution(of.least, of.most, log=of.scaling is ScalingType.LOGARITHMIC)
        case ContinuousRange(scaling=ScalingType.REVERSE_LOGARITHMIC):
            return FloatDistribution(1 - of.most, 1 - of.least, log=True)
        case ContinuousRange():
            return FloatDistribution(of.least, of.most, log=of.scaling is ScalingType.LOGARITHMIC)
        case CategoricalRange():
            return CategoricalDistribution(of.values)


def _inside(of: ParameterRange, value: Value) -> Value:
    """The value as Optuna's distribution has it."""
    if _is_mirrored(of):
        assert isinstance(of, ContinuousRange), "no other is"
        return min(max(1 - float(value), 1 - of.most), 1 - of.least)
    return value


def _outside(of: ParameterRange, value: Value) -> Value:
    if _is_mirrored(of):
        assert isinstance(of, ContinuousRange), "no other is"
        return min(max(1 - float(value), of.least), of.most)
    return value


def _is_mirrored(of: ParameterRange) -> bool:
    return isinstance(of, ContinuousRange) and of.scaling is ScalingType.REVERSE_LOGARITHMIC


def _seed(seed: int, number: int, attempt: int) -> int:
    """A seed of its own for each proposal."""
    text = f"{seed} {number} {attempt}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
