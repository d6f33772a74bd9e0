"""Ratings as plain values: rows with their intervals, drawn on one scale."""

from collections.abc import Sequence
from typing import NamedTuple

from outcrop.console.views.amounts import short_name
from outcrop.console.views.interval_bar import DrawnInterval, interval_bars
from outcrop.console.views.vote_lines import CastVote


class RatingRow(NamedTuple):
    """A model with its rating."""

    model: str
    name: str
    told: str
    interval: str
    bar: DrawnInterval | None
    num_votes: int
    num_won: int
    num_drawn: int
    may_be_best: bool


def rating_rows(votes: Sequence[CastVote]) -> list[RatingRow]:
    """The models that were voted on, the best first."""
    # Here, since numpy is needed by whoever looks at ratings alone.
    from outcrop.evaluation.statistics.ratings import AnswerVote, rate

    found = rate([AnswerVote(vote.models, None if vote.best is None else vote.models[vote.best]) for vote in votes])
    bars = interval_bars([(each.interval.low, each.rating, each.interval.high) for each in found])
    return [
        RatingRow(
            each.model,
            short_name(each.model),
            f"{each.rating:,.0f}",
            f"{each.interval.low:,.0f} – {each.interval.high:,.0f}",
            bar,
            each.num_votes,
            each.num_won,
            each.num_drawn,
            each.may_be_best,
        )
        for each, bar in zip(found, bars, strict=True)
    ]
