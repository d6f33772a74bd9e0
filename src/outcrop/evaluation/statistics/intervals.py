"""Confidence intervals of means, by bootstrap over records, and of shares, by Wilson and by Clopper and Pearson.

Records are drawn with replacement, never single answers: several answers to one record, of several seeds, are one
cluster and stay together. Every interval is the same at every call with the same seed.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from outcrop.evaluation.statistics.distributions import beta_quantile, normal_probability, normal_quantile, t_quantile

Floats = NDArray[np.float64]
_Places = NDArray[np.integer[Any]]

CONFIDENCE = 0.95
RESAMPLES = 10_000
_AT_ONCE = 1 << 17
"Records drawn in one go: few enough for the cache of a core."
_KEPT = 1 << 24
"Drawn places of up to so many records in all are kept: 32 MiB."
_FEW_VALUES = 16
"Distinct records up to which their counts are drawn instead of themselves."


class ConfidenceInterval(NamedTuple):
    """The two ends between which a value lies with the confidence that was asked for."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class MeanEstimate:
    """The mean of a score over records, with its interval."""

    mean: float
    interval: ConfidenceInterval | None
    "None of fewer than two records."
    num_records: int
    num_without: int
    "Records without a value, left out."
    method: str
    "How the interval was made: `Wilson` or `bootstrap`."


def estimate(
    values: Sequence[float | None],
    *,
    is_share: bool = False,
    clusters: Sequence[Hashable] | None = None,
    weights: Sequence[float] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MeanEstimate | None:
    """The mean of a score and its interval; None where no record has a value.

    `clusters` names the record of each value where a record was answered several times. With `weights`, such as tokens,
    the mean is that of all tokens. Shares get Wilson's interval where each value is a record of its own.
    """
    records = of_records(values, clusters=clusters, weights=weights)
    num_without = sum(value is None for value in values)
    if not len(records.values_N):
        return None
    mean = weighted_mean(records)
    single = clusters is None or len(set(clusters)) == len(clusters)
    if is_share and single and weights is None:
        num = len(records.values_N)
        interval = wilson(round(float(records.values_N.sum())), num, confidence=confidence)
        return MeanEstimate(mean=mean, interval=interval, num_records=num, num_without=num_without, method="Wilson")
    return MeanEstimate(
        mean=mean,
        interval=bootstrap(records, confidence=confidence, resamples=resamples, seed=seed),
        num_records=len(records.values_N),
        num_without=num_without,
        method="bootstrap",
    )


class RecordValues(NamedTuple):
    """The value and weight of each record, all of its seeds together."""

    values_N: Floats
    weights_N: Floats


def of_records(
    values: Sequence[float | None],
    *,
    clusters: Sequence[Hashable] | None = None,
    weights: Sequence[float] | None = None,
) -> RecordValues:
    """The values by record, in order of their first appearance; a record's own mean over its seeds."""
    assert clusters is None or len(clusters) == len(values), "a cluster for each value"
    assert weights is None or len(weights) == len(values), "a weight for each value"
    present = [at for at, value in enumerate(values) if value is not None]
    value_M = np.array([values[at] for at in present], dtype=np.float64)
    weight_M = np.ones(len(present)) if weights is None else np.array([weights[at] for at in present], dtype=np.float64)
    if clusters is None:
        return RecordValues(value_M, weight_M)
    number: dict[Hashable, int] = {}
    record_M = np.array([number.setdefault(clusters[at], len(number)) for at in present], dtype=np.intp)
    total_N = np.bincount(record_M, value_M * weight_M, len(number))
    weight_N = np.bincount(record_M, weight_M, len(number))
    return RecordValues(total_N / weight_N, weight_N / np.bincount(record_M, minlength=len(number)))


def weighted_mean(records: RecordValues) -> float:
    """The mean over records, each as heavy as its weight."""
    return float(math.fsum(records.values_N * records.weights_N) / math.fsum(records.weights_N))


def bootstrap(
    records: RecordValues, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> ConfidenceInterval | None:
    """The interval of the weighted mean, by drawing records with replacement; None of fewer than two.

    Percentiles of the resampled means, widened for few records (Hesterberg 2015, arXiv:1411.5279, section 4.4.4): plain
    percentiles and BCa are too narrow by about sqrt((n - 1) / n) and call equal models different too often.
    """
    num = len(records.values_N)
    if num < 2:
        return None
    if np.ptp(records.values_N) == 0:
        return ConfidenceInterval(float(records.values_N[0]), float(records.values_N[0]))
    means_R = _resampled(records, resamples, seed)
    tail = normal_probability(-math.sqrt(num / (num - 1)) * t_quantile((1 + confidence) / 2, num - 1))
    low, high = np.quantile(means_R, [tail, 1 - tail])
    return ConfidenceInterval(float(low), float(high))


def _resampled(records: RecordValues, resamples: int, seed: int) -> Floats:
    """The weighted means of records drawn with replacement, one a resample."""
    values_N, weights_N = records
    num = len(values_N)
    kinds_K2, counts_K = np.unique(np.stack([values_N, weights_N], axis=1), axis=0, return_counts=True)
    if len(counts_K) <= _FEW_VALUES:
        # Records of equal value and weight are exchangeable: how many of each kind are drawn is multinomial.
        drawn_RK = np.random.default_rng(seed).multinomial(num, counts_K / num, size=resamples)
        means_R: Floats = (drawn_RK @ (kinds_K2[:, 0] * kinds_K2[:, 1])) / (drawn_RK @ kinds_K2[:, 1])
        return means_R
    totals_N, equal = values_N * weights_N, np.ptp(weights_N) == 0
    means = []
    for drawn_SN in _kept(num, resamples, seed) if num * resamples <= _KEPT else _drawn(num, resamples, seed):
        place_SN = drawn_SN.astype(np.intp)
        sizes_S = num * weights_N[0] if equal else weights_N[place_SN].sum(axis=1)
        means.append(totals_N[place_SN].sum(axis=1) / sizes_S)
    return np.concatenate(means)


@lru_cache(maxsize=2)
def _kept(num: int, resamples: int, seed: int) -> tuple[_Places, ...]:
    """The places that are drawn, kept for the next score of as many records.

    Drawing them takes most of the time.
    """
    return tuple(_drawn(num, resamples, seed))


def _drawn(num: int, resamples: int, seed: int) -> Iterator[_Places]:
    """Places of records drawn with replacement, some resamples at a time."""
    generator = np.random.default_rng(seed)
    kind = np.uint16 if num <= np.iinfo(np.uint16).max else np.int32
    for start in range(0, resamples, step := max(1, _AT_ONCE // num)):
        yield generator.integers(num, size=(min(step, resamples - start), num), dtype=kind)


def wilson(successes: int, num: int, *, confidence: float = CONFIDENCE) -> ConfidenceInterval | None:
    """Wilson's interval of a share (Wilson 1927, JASA 22:209); None of no trials."""
    if not num:
        return None
    z2 = normal_quantile((1 + confidence) / 2) ** 2
    middle = (successes + z2 / 2) / (num + z2)
    half = math.sqrt(z2 * (successes * (num - successes) / num + z2 / 4)) / (num + z2)
    return ConfidenceInterval(
        max(0.0, middle - half) if successes else 0.0, min(1.0, middle + half) if successes < num else 1.0
    )


def clopper_pearson(successes: int, num: int, *, confidence: float = CONFIDENCE) -> ConfidenceInterval | None:
    """The exact interval of a share, never too narrow; None of no trials.

    Source: Clopper and Pearson 1934, Biometrika 26:404.
    """
    if not num:
        return None
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, successes, num - successes + 1) if successes else 0.0
    high = beta_quantile(1 - tail, successes + 1, num - successes) if successes < num else 1.0
    return ConfidenceInterval(low, high)
