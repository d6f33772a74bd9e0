"""Ranges of hyperparameters that a search goes through, and their points.

space = {"outcrop.rank": IntegerRange(least=4, most=64, scaling=ScalingType.LOGARITHMIC)}
texts(space, {"outcrop.rank": 16})      # {'outcrop.rank': '16'}, as hyperparameters are told
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

WHOLE = re.compile(r"[+-]?\d{1,16}")
"The text of a whole number."

Value = int | float | str


class ScalingType(StrEnum):
    """How the values of a range lie between its ends."""

    LINEAR = "Linear"
    LOGARITHMIC = "Logarithmic"
    REVERSE_LOGARITHMIC = "ReverseLogarithmic"


@dataclass(frozen=True, kw_only=True)
class IntegerRange:
    """Whole numbers between two, both included."""

    least: int
    most: int
    scaling: ScalingType

    def text(self, value: Value) -> str:
        return str(int(value))

    def read(self, text: str) -> int | None:
        """The value that a hyperparameter's text means; None where it is none of the range."""
        value = int(text) if WHOLE.fullmatch(text) else None
        return value if value is not None and self.least <= value <= self.most else None


@dataclass(frozen=True, kw_only=True)
class ContinuousRange:
    """Numbers between two, both included."""

    least: float
    most: float
    scaling: ScalingType

    def text(self, value: Value) -> str:
        return repr(float(value))

    def read(self, text: str) -> float | None:
        """The value that a hyperparameter's text means; None where it is none of the range."""
        value = number(text)
        return value if value is not None and self.least <= value <= self.most else None


@dataclass(frozen=True, kw_only=True)
class CategoricalRange:
    """A few texts."""

    values: tuple[str, ...]

    def text(self, value: Value) -> str:
        return str(value)

    def read(self, text: str) -> str | None:
        """The text itself; None where it is none of the range."""
        return text if text in self.values else None


ParameterRange = IntegerRange | ContinuousRange | CategoricalRange
Space = Mapping[str, ParameterRange]
"The ranges by the names of their hyperparameters."


def combinations(space: Space) -> int | None:
    """The number of points of the space, where all of its ranges are categorical."""
    if not all(isinstance(each, CategoricalRange) for each in space.values()):
        return None
    return math.prod(len(each.values) for each in space.values() if isinstance(each, CategoricalRange))


def points(space: Space) -> Iterator[dict[str, Value]]:
    """Every point of a space of categories, the last name's values changing first."""
    categories = {name: each.values for name, each in space.items() if isinstance(each, CategoricalRange)}
    for point in itertools.product(*categories.values()):
        yield dict(zip(categories, point, strict=True))


def texts(space: Space, values: Mapping[str, Value]) -> dict[str, str]:
    """Values as the hyperparameters of a training job."""
    return {name: space[name].text(value) for name, value in values.items()}


def values(space: Space, hyperparameters: Mapping[str, str]) -> dict[str, Value] | None:
    """The point that a training job's hyperparameters are in the space; None where they lie outside."""
    found = {name: each.read(hyperparameters[name]) for name, each in space.items() if name in hyperparameters}
    inside = {name: value for name, value in found.items() if value is not None}
    return inside if len(inside) == len(space) else None


def number(text: str) -> float | None:
    """The finite number that a text means; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
