"""Two models compared on the same records: the difference of means, its interval, a verdict that can say no."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from outcrop.evaluation.statistics.distributions import normal_quantile
from outcrop.evaluation.statistics.intervals import (
    CONFIDENCE,
    RESAMPLES,
    ConfidenceInterval,
    bootstrap,
    of_records,
    weighted_mean,
)

_POWER = 0.8


class Significance(StrEnum):
    """The verdict on a difference between two models."""

    BETTER = "better"
    WORSE = "worse"
    DIFFERENT = "different"
    "Significant, of a score whose neither end is better."
    NOT_SIGNIFICANT = "not significant"
    NO_DIFFERENCE = "no difference"
    "Both have the very same value on every record."


@dataclass(frozen=True, kw_only=True)
class ScoreDifference:
    """The difference between a model and a baseline on the same records."""

    model: str
    baseline: str
    model_mean: float
    "Over the records that both have a value of."
    baseline_mean: float
    difference: float
    "The model's mean less the baseline's."
    interval: ConfidenceInterval | None
    "None of fewer than two records."
    confidence: float
    num_records: int
    num_differing: int
    "Records on which the two differ."
    num_without: int
    "Values left out, since one of the two has none."
    detectable: float | None
    "The least true difference that so many records would show in four of five trials."
    significance: Significance

    @property
    def sentence(self) -> str:
        """The verdict for people, with names and figures."""
        both = f"{self.model_mean:.3f} against {self.baseline_mean:.3f}"
        if self.significance is Significance.NO_DIFFERENCE:
            return f"{self.model} and {self.baseline} score the same on every one of {self._records} ({both})."
        said = {
            Significance.BETTER: f"{self.model} is better than {self.baseline}",
            Significance.WORSE: f"{self.model} is worse than {self.baseline}",
            Significance.DIFFERENT: f"{self.model} differs from {self.baseline}",
            Significance.NOT_SIGNIFICANT: f"The difference of {self.model} to {self.baseline} is not significant",
        }[self.significance]
        told = f"{said}: {both}, {self.difference:+.3f}"
        if self.interval is not None:
            told += f" ({100 * self.confidence:g} % interval {self.interval.low:+.3f} to {self.interval.high:+.3f})"
        told += f", {self._records}."
        if self.significance is Significance.NOT_SIGNIFICANT and self.detectable is not None:
            told += f" So many records show a difference of {self.detectable:.3f} in four of five trials."
        return told

    @property
    def _records(self) -> str:
        return f"{self.num_records} record{'' if self.num_records == 1 else 's'}"


def compare(
    values: Sequence[float | None],
    baseline_values: Sequence[float | None],
    *,
    higher_is_better: bool | None = True,
    model: str = "the model",
    baseline: str = "the baseline",
    clusters: Sequence[Hashable] | None = None,
    weights: Sequence[float] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ScoreDifference | None:
    """The paired difference of two models on the same records; None where no record has a value of both.

    The two sequences go together, entry by entry. `clusters` names each entry's record where a record was answered with
    several seeds; `weights`, such as tokens, make the means those of all tokens.
    """
    assert len(values) == len(baseline_values), "the same records, in the same order"
    pairs = list(zip(values, baseline_values, strict=True))
    whole = [ours is not None and theirs is not None for ours, theirs in pairs]
    ours = of_records(_where(values, whole), clusters=clusters, weights=weights)
    theirs = of_records(_where(baseline_values, whole), clusters=clusters, weights=weights)
    if not len(ours.values_N):
        return None
    differences = ours._replace(values_N=ours.values_N - theirs.values_N)
    num, num_differing = len(ours.values_N), int(np.count_nonzero(differences.values_N))
    interval = bootstrap(differences, confidence=confidence, resamples=resamples, seed=seed)
    return ScoreDifference(
        model=model,
        baseline=baseline,
        model_mean=weighted_mean(ours),
        baseline_mean=weighted_mean(theirs),
        difference=weighted_mean(differences),
        interval=interval,
        confidence=confidence,
        num_records=num,
        num_differing=num_differing,
        num_without=len(whole) - sum(whole),
        detectable=detectable(float(np.std(differences.values_N, ddof=1)), num, confidence) if num > 1 else None,
        significance=_significance(interval, num_differing, num, higher_is_better, confidence),
    )


def detectable(deviation: float, num_records: int, confidence: float = CONFIDENCE) -> float:
    """The least true difference that a paired comparison shows in four of five trials.

    `deviation` is the standard deviation of the differences over records.
    """
    return (normal_quantile((1 + confidence) / 2) + normal_quantile(_POWER)) * deviation / math.sqrt(num_records)


def confidence_of_each(num_comparisons: int, confidence: float = CONFIDENCE) -> float:
    """The confidence at which each of several comparisons is made so that all hold together, by Bonferroni."""
    return 1 - (1 - confidence) / max(1, num_comparisons)


def _where(values: Sequence[float | None], whole: Sequence[bool]) -> list[float | None]:
    return [value if kept else None for value, kept in zip(values, whole, strict=True)]


def _significance(
    interval: ConfidenceInterval | None,
    num_differing: int,
    num_records: int,
    higher_is_better: bool | None,
    confidence: float,
) -> Significance:
    if not num_differing and num_records:
        return Significance.NO_DIFFERENCE
    # If the signs were thrown like coins, all of k differing records would fall one way with probability 2 / 2^k: from
    # a few of them nothing may be concluded, and the bootstrap would.
    if interval is None or 2.0 ** (1 - num_differing) > 1 - confidence or interval.low <= 0 <= interval.high:
        return Significance.NOT_SIGNIFICANT
    if higher_is_better is None:
        return Significance.DIFFERENT
    return Significance.BETTER if (interval.low > 0) == higher_is_better else Significance.WORSE
