"""Cells compared: quality with intervals, cost, the Pareto front, and what is significantly apart from the best.

All cells are held against the best one. So many comparisons are made that each has a higher confidence (Bonferroni),
and all hold together at 95 %: else the best of many would look better than it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from outcrop.customization import prices
from outcrop.customization.prices import ListedRates
from outcrop.errors import Invalid
from outcrop.evaluation.bakeoff.outcome import CellOutcome
from outcrop.evaluation.bakeoff.plan import CostKind
from outcrop.evaluation.measures import Measure
from outcrop.evaluation.report.as_json import contamination_json
from outcrop.evaluation.report.value import ContaminationReport
from outcrop.evaluation.scores.scoring import TextScore
from outcrop.evaluation.statistics.comparing import ScoreDifference, Significance, compare, confidence_of_each
from outcrop.evaluation.statistics.intervals import ConfidenceInterval, MeanEstimate, estimate

_TRAINED_TOKEN = 3
"A step reads a token forward, and goes back through it at about twice the cost of that."
APART = (Significance.BETTER, Significance.WORSE)


@dataclass(frozen=True, kw_only=True)
class JudgedCell:
    """A cell beside the others."""

    outcome: CellOutcome
    estimates: Mapping[str, MeanEstimate]
    "By score."
    cost: float
    "Of training, and of as many answers as the horizon has."
    beside_best: ScoreDifference | None = None
    "None of the best itself, and where there is nothing to compare."
    beside_first: ScoreDifference | None = None
    "None of the first itself."
    is_best: bool = False
    is_on_front: bool = False
    "Whether no other cell is at once as good and cheaper, or better and as cheap."

    @property
    def name(self) -> str:
        return self.outcome.name

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON, with its outcome."""
        return {
            **self.outcome.to_json(),
            "scores": {name: {**asdict(each), "interval": each.interval} for name, each in self.estimates.items()},
            "cost": self.cost,
            "onFront": self.is_on_front,
            "best": self.is_best,
            "besideBest": None if self.beside_best is None else asdict(self.beside_best),
            "besideFirst": None if self.beside_first is None else asdict(self.beside_first),
        }

    @property
    def may_be_best(self) -> bool:
        """Whether it is the best, or not significantly apart from it."""
        return self.is_best or (self.beside_best is not None and self.beside_best.significance not in APART)


@dataclass(frozen=True, kw_only=True)
class JudgedBakeoff:
    """All cells with values, and the ones that failed."""

    measure: str
    higher_is_better: bool
    scores: tuple[str, ...]
    cost_kind: CostKind
    currency: str
    cost_note: str
    "Why the cost is counted so."
    horizon: int
    num_questions: int
    cells: tuple[JudgedCell, ...]
    failed: tuple[CellOutcome, ...] = ()
    title: str = ""
    held_out: ContaminationReport | None = None
    "Whether models have learned from the questions; None where nobody looked."

    def to_json(self) -> dict[str, Any]:
        """The whole result for programs."""
        taken = recommended(self)
        return {
            "title": self.title,
            "measure": self.measure,
            "higherIsBetter": self.higher_is_better,
            "questions": self.num_questions,
            "cost": {"kind": self.cost_kind, "unit": self.currency, "note": self.cost_note, "horizon": self.horizon},
            "recommended": None if taken is None else taken.name,
            "cells": [cell.to_json() for cell in self.cells],
            "failed": [outcome.to_json() for outcome in self.failed],
            "heldOut": None if self.held_out is None else contamination_json(self.held_out),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "JudgedBakeoff":
        """The result that `to_json` told. Raises Invalid for JSON that is none."""
        try:
            cost = told["cost"]
            cells = tuple(_cell_from_json(each, told["measure"]) for each in told["cells"])
            names = dict.fromkeys(name for each in told["cells"] for name in each["scores"])
            return cls(
                measure=str(told["measure"]),
                higher_is_better=bool(told["higherIsBetter"]),
                scores=tuple(dict.fromkeys([str(told["measure"]), *names])),
                cost_kind=CostKind(cost["kind"]),
                currency=str(cost["unit"]),
                cost_note=str(cost["note"]),
                horizon=int(cost["horizon"]),
                num_questions=int(told["questions"]),
                cells=cells,
                failed=tuple(CellOutcome.from_json(each) for each in told["failed"]),
                title=str(told["title"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Invalid(f"No result of a bake-off: {error!r}. `outcrop bakeoff PLAN --json` prints one.") from error

    def quality(self, cell: JudgedCell) -> float:
        """The mean of the measure."""
        return cell.estimates[self.measure].mean


@dataclass(frozen=True, kw_only=True)
class Judging:
    """The rules by which cells are compared."""

    measures: tuple[Measure, ...]
    "The first one decides."
    horizon: int = 1000
    cost: CostKind | None = None
    prices: Path | None = None
    "A price list; none: nothing has a price."
    seed: int = 0

    def judge(
        self, outcomes: Sequence[CellOutcome], *, title: str = "", held_out: ContaminationReport | None = None
    ) -> JudgedBakeoff:
        """The cells beside each other, in their order."""
        measure = self.measures[0]
        counted = [each for each in outcomes if not each.failure and self._estimate(each, measure) is not None]
        failed = tuple(each for each in outcomes if each.failure)
        kind, currency, note, cost_of = self._costs(counted)
        return JudgedBakeoff(
            measure=measure.name,
            higher_is_better=measure.higher_is_better is not False,
            scores=tuple(each.name for each in self.measures),
            cost_kind=kind,
            currency=currency,
            cost_note=note,
            horizon=self.horizon,
            num_questions=max((each.num_answers for each in counted), default=0),
            cells=tuple(self._cells(counted, cost_of)),
            failed=failed,
            title=title,
            held_out=held_out,
        )

    def _cells(self, counted: Sequence[CellOutcome], cost_of: Callable[[CellOutcome], float]) -> list[JudgedCell]:
        if not counted:
            return []
        measure, first = self.measures[0], counted[0]
        sign = -1.0 if measure.higher_is_better is False else 1.0
        means = [self._estimate(each, measure) for each in counted]
        qualities = [sign * each.mean for each in means if each is not None]
        costs = [cost_of(each) for each in counted]
        # The cheaper one where two are level, and then the earlier one of the plan.
        best = max(range(len(counted)), key=lambda place: (qualities[place], -costs[place], -place))
        confidence = confidence_of_each(len(counted) - 1)
        return [
            JudgedCell(
                outcome=each,
                estimates={
                    score.name: found for score in self.measures if (found := self._estimate(each, score)) is not None
                },
                cost=costs[place],
                beside_best=None if place == best else self._beside(each, counted[best], confidence),
                beside_first=None if place == 0 else self._beside(each, first, confidence),
                is_best=place == best,
                is_on_front=not any(
                    _dominates((qualities[other], costs[other]), (qualities[place], costs[place]))
                    for other in range(len(counted))
                ),
            )
            for place, each in enumerate(counted)
        ]

    def _beside(self, ours: CellOutcome, theirs: CellOutcome, confidence: float) -> ScoreDifference | None:
        measure = self.measures[0]
        return compare(
            ours.values[measure.name],
            theirs.values[measure.name],
            higher_is_better=measure.higher_is_better is not False,
            weights=ours.weights.get(measure.name),
            model=ours.name,
            baseline=theirs.name,
            confidence=confidence,
            seed=self.seed,
        )

    def _estimate(self, outcome: CellOutcome, measure: Measure) -> MeanEstimate | None:
        return estimate(
            outcome.values[measure.name],
            is_share=isinstance(measure, TextScore) and measure.is_share,
            weights=outcome.weights.get(measure.name),
            seed=self.seed,
        )

    def _costs(self, outcomes: Sequence[CellOutcome]) -> tuple[CostKind, str, str, Callable[[CellOutcome], float]]:
        listed = {each.base: self._rates(each.base) for each in outcomes}
        missing = [why for why in listed.values() if isinstance(why, str)]
        kind = self.cost or (CostKind.TOKENS if missing or not listed else CostKind.PRICE)
        if kind is CostKind.SECONDS:
            return kind, "s", "seconds of this machine", self._seconds
        if kind is CostKind.TOKENS or missing:
            asked = f"{missing[0]}; " if missing and self.cost is not CostKind.TOKENS else ""
            told = f"{asked}tokens are counted, one that is trained on as {_TRAINED_TOKEN}"
            return CostKind.TOKENS, "tokens", told, self._tokens
        rates = {base: each for base, each in listed.items() if isinstance(each, ListedRates)}
        currency = next(iter(rates.values())).currency
        return kind, currency, "by the price list", lambda outcome: self._price(outcome, rates[outcome.base])

    def _rates(self, base: str) -> ListedRates | str:
        return "no price list" if self.prices is None else prices.rates_of(self.prices, base)

    def _seconds(self, outcome: CellOutcome) -> float:
        return outcome.training.seconds + self._scale(outcome) * outcome.machine_s

    def _tokens(self, outcome: CellOutcome) -> float:
        asked = outcome.num_input_tokens + outcome.num_output_tokens
        return _TRAINED_TOKEN * outcome.training.tokens + self._scale(outcome) * asked

    def _price(self, outcome: CellOutcome, listed: ListedRates) -> float:
        rates, scale = listed.rates, self._scale(outcome)
        return rates.training(tokens=outcome.training.tokens, seconds=outcome.training.seconds) + rates.answers(
            input_tokens=scale * outcome.num_input_tokens,
            output_tokens=scale * outcome.num_output_tokens,
            seconds=scale * outcome.machine_s,
        )

    def _scale(self, outcome: CellOutcome) -> float:
        return self.horizon / outcome.num_answers


def _cell_from_json(told: Mapping[str, Any], measure: str) -> JudgedCell:
    outcome = CellOutcome.from_json(told)
    if outcome.failure or not outcome.num_answers or measure not in told["scores"]:
        raise ValueError(f"{outcome.name} has no {measure}")
    return JudgedCell(
        outcome=outcome,
        estimates={
            name: MeanEstimate(**{**each, "interval": _interval_from_json(each["interval"])})
            for name, each in told["scores"].items()
        },
        cost=float(told["cost"]),
        beside_best=_difference_from_json(told["besideBest"]),
        beside_first=_difference_from_json(told["besideFirst"]),
        is_best=bool(told["best"]),
        is_on_front=bool(told["onFront"]),
    )


def _interval_from_json(told: Sequence[float] | None) -> ConfidenceInterval | None:
    return None if told is None else ConfidenceInterval(*map(float, told))


def _difference_from_json(told: Mapping[str, Any] | None) -> ScoreDifference | None:
    if told is None:
        return None
    read = {"interval": _interval_from_json(told["interval"]), "significance": Significance(told["significance"])}
    return ScoreDifference(**{**told, **read})


def recommended(judged: JudgedBakeoff) -> JudgedCell | None:
    """The cheapest of those that are not significantly apart from the best; None where nothing has values."""
    sign = 1.0 if judged.higher_is_better else -1.0
    able = [cell for cell in judged.cells if cell.may_be_best]
    return min(able, key=lambda cell: (cell.cost, -sign * judged.quality(cell)), default=None)


def _dominates(ours: tuple[float, float], theirs: tuple[float, float]) -> bool:
    """Whether a pair of quality and cost is better in one and worse in neither."""
    return ours[0] >= theirs[0] and ours[1] <= theirs[1] and ours != theirs
