"""Ratings of models out of votes for the best of several answers, with intervals, on Elo's scale.

The chance that an answer is chosen is its model's strength over that of all who answered (Luce 1959); of two this is
the model of Bradley and Terry. The most likely strengths are found by the MM algorithm of Hunter 2004
(doi:10.1214/aos/1079120141), the intervals by the curvature there. A vote for none counts a share for each. Every model
has one imagined draw against one of mean strength, so that whoever won each of three votes is not infinitely strong.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from outcrop.evaluation.statistics.comparing import confidence_of_each
from outcrop.evaluation.statistics.distributions import normal_quantile
from outcrop.evaluation.statistics.intervals import CONFIDENCE, ConfidenceInterval, Floats

MEAN = 1000.0
_PER_NAT = 400 / math.log(10)
"Ten times the strength are 400 points, as in chess."
_MOST_ROUNDS = 10_000
_EXACT = 1e-9


class AnswerVote(NamedTuple):
    """A vote for one of several answers to the same question."""

    models: tuple[str, ...]
    "Who answered, each once."
    best: str | None
    "None: no answer is better than the others."


@dataclass(frozen=True, kw_only=True)
class VotedRating:
    """A model's rating beside the others that were voted on."""

    model: str
    rating: float
    "1000 is the mean of all models."
    interval: ConfidenceInterval
    num_votes: int
    num_won: int
    num_drawn: int
    may_be_best: bool
    "Whether the votes do not tell it from the one at the top."


def rate(votes: Sequence[AnswerVote], *, confidence: float = CONFIDENCE) -> list[VotedRating]:
    """The ratings of all models that were voted on, the highest first; none of votes that compare nothing."""
    votes = [vote for vote in votes if len(set(vote.models)) == len(vote.models) > 1]
    models = sorted({model for vote in votes for model in vote.models})
    if not models:
        return []
    places = {model: place for place, model in enumerate(models)}
    fields = Counter(tuple(sorted(places[model] for model in vote.models)) for vote in votes)
    won_K = np.full(len(models), 0.5)
    for vote in votes:
        for model in vote.models:
            won_K[places[model]] += 1 / len(vote.models) if vote.best is None else float(model == vote.best)
    strengths_K = _strengths(won_K, fields)
    logs_K = np.log(strengths_K) - np.log(strengths_K).mean()
    spread_KK = _covariance(strengths_K, fields)
    z = normal_quantile((1 + confidence) / 2)
    top = int(np.argmax(logs_K))
    z_of_each = normal_quantile((1 + confidence_of_each(len(models) - 1, confidence)) / 2)
    found = []
    for place, model in enumerate(models):
        middle, half = MEAN + _PER_NAT * logs_K[place], _PER_NAT * z * math.sqrt(spread_KK[place, place])
        apart = spread_KK[place, place] + spread_KK[top, top] - 2 * spread_KK[place, top]
        own = [vote for vote in votes if model in vote.models]
        found.append(
            VotedRating(
                model=model,
                rating=float(middle),
                interval=ConfidenceInterval(float(middle - half), float(middle + half)),
                num_votes=len(own),
                num_won=sum(vote.best == model for vote in own),
                num_drawn=sum(vote.best is None for vote in own),
                may_be_best=bool(logs_K[top] - logs_K[place] <= z_of_each * math.sqrt(max(0.0, float(apart)))),
            )
        )
    return sorted(found, key=lambda each: (-each.rating, each.model))


def _strengths(won_K: Floats, fields: Counter[tuple[int, ...]]) -> Floats:
    """The most likely strengths; that of the imagined model is 1."""
    in_FK = np.zeros((len(fields), len(won_K)))
    for row, field in enumerate(fields):
        in_FK[row, list(field)] = 1
    num_F = np.array(list(fields.values()), dtype=np.float64)
    strengths_K = np.ones(len(won_K))
    for _ in range(_MOST_ROUNDS):
        newer_K = won_K / (1 / (strengths_K + 1) + (num_F / (in_FK @ strengths_K)) @ in_FK)
        change = np.abs(newer_K / strengths_K - 1).max()
        strengths_K = newer_K
        if change < _EXACT:
            break
    return strengths_K


def _covariance(strengths_K: Floats, fields: Counter[tuple[int, ...]]) -> Floats:
    """The covariance of the logarithms less their mean: the inverse of the curvature at the top."""
    alone_K = strengths_K / (strengths_K + 1)
    curvature_KK = np.diag(alone_K * (1 - alone_K))
    for field, num in fields.items():
        at = list(field)
        shares_S = strengths_K[at] / strengths_K[at].sum()
        curvature_KK[np.ix_(at, at)] += num * (np.diag(shares_S) - np.outer(shares_S, shares_S))
    num = len(strengths_K)
    less_mean_KK = np.eye(num) - 1 / num
    spread_KK: Floats = less_mean_KK @ np.linalg.inv(curvature_KK) @ less_mean_KK
    return spread_KK
