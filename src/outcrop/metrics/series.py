"""Series and points: what is measured over time, named as CloudWatch names it.

A series is a namespace, a metric, its dimensions and a unit; the same dimensions in another order are the same series.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import NamedTuple

from outcrop.errors import Invalid

MOST_DIMENSIONS = 30
LONGEST_NAME = 255
LONGEST_VALUE = 1024
"CloudWatch's own limits: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html"


class Unit:
    """The units used here, in CloudWatch's words; a series may have any other of CloudWatch's."""

    NONE = "None"
    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    BYTES = "Bytes"
    PER_SECOND = "Count/Second"


class Resolution(IntEnum):
    """Seconds of one interval, whose values are kept together: CloudWatch's StorageResolution."""

    MINUTE = 60
    SECOND = 1


class Series(NamedTuple):
    """Values of one metric over time. Make it with `series`, which puts the dimensions into their order."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str


class Summary(NamedTuple):
    """Values that somebody has summed up before: their number, sum, smallest and largest."""

    num_values: int
    total: float
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Point:
    """Values of a series at one moment, and how often each was seen there."""

    series: Series
    at: datetime
    counts: Mapping[float, int]
    resolution: Resolution = Resolution.MINUTE
    summary: Summary | None = None
    "Further values, of which no more is known."


def series(
    namespace: str, metric: str, dimensions: Mapping[str, str] | None = None, *, unit: str = Unit.NONE
) -> Series:
    """Raises Invalid for names that are empty or too long, and for too many dimensions."""
    given = dimensions or {}
    if len(given) > MOST_DIMENSIONS:
        raise Invalid(f"{metric}: {len(given)} dimensions are more than {MOST_DIMENSIONS}. Leave some out.")
    for what, text, longest in (
        ("namespace", namespace, LONGEST_NAME),
        ("metric", metric, LONGEST_NAME),
        *(("dimension", name, LONGEST_NAME) for name in given),
        *((f"dimension {name}", value, LONGEST_VALUE) for name, value in given.items()),
    ):
        if not 1 <= len(text) <= longest:
            raise Invalid(f"{what}: {text[:40]!r} has {len(text)} letters. Give it 1 to {longest}.")
    return Series(namespace, metric, tuple(sorted(given.items())), unit)


def point(of: Series, value: float, at: datetime, resolution: Resolution = Resolution.MINUTE) -> Point:
    """A single value at one moment."""
    return Point(series=of, at=at, counts={value: 1}, resolution=resolution)


def in_region(region: str, namespace: str) -> str:
    """The namespace under which clients of one region keep points, apart from those of other regions.

    No namespace of CloudWatch begins with a colon. The installation's own points belong to no region, and are seen in
    each.
    """
    return f":{region}:{namespace}"


def seen_from(region: str, namespace: str) -> str | None:
    """The namespace as clients of a region see it; None where it is another region's."""
    if not namespace.startswith(":"):
        return namespace
    prefix = in_region(region, "")
    return namespace.removeprefix(prefix) if namespace.startswith(prefix) else None


def interval(at: datetime, seconds: int) -> datetime:
    """The beginning of the interval of this length that holds the moment; intervals are counted from 1970."""
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)
