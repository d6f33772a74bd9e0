"""Ranges of hyperparameters: read from a request in AWS's textual forms, and written as training jobs get them.

    space = ranges.read("ParameterRanges", request["ParameterRanges"])
    space["learning-rate"].text(1e-4)       # '0.0001', as hyperparameters are told

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outcrop.errors import Invalid

MOST = 30
"Hyperparameters of one tuning job."
OBJECTIVE = "_tuning_objective_metric"
"The hyperparameter with which a training job is told its objective."
_WHOLE = re.compile(r"[+-]?\d{1,16}")
_LARGEST_WHOLE = 2**53
"Beyond it, a number with a decimal point would not tell neighbours apart."
_MANY_TIMES = 100
"A range whose end is this many times its beginning is gone through by orders of magnitude, where it says Auto."

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
        value = int(text) if _WHOLE.fullmatch(text) else None
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
        value = _number(text)
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


def read(place: str, given: Mapping[str, Any]) -> dict[str, ParameterRange]:
    """The ranges of a request's `place`, in the order of their names. Raises Invalid, with every problem there is."""
    found: dict[str, ParameterRange] = {}
    problems: list[str] = []
    if given.get("AutoParameters"):
        problems.append(f"{place}.AutoParameters: Autotune is not built. Give each hyperparameter a range.")
    for member, reader in _READERS.items():
        for each in given.get(member) or ():
            name = each["Name"]
            try:
                _check_name(name, found)
                found[name] = reader(each)
            except Invalid as wrong:
                problems.append(f"{place}.{member}.{name}: {wrong.message}")
    if not found and not problems:
        problems.append(f"{place}: no range. Give at least one hyperparameter a range.")
    if len(found) > MOST:
        problems.append(f"{place}: {len(found)} hyperparameters are more than {MOST}. Give fewer a range.")
    if problems:
        raise Invalid(" ".join(problems))
    return dict(sorted(found.items()))


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


def _check_name(name: str, found: Mapping[str, object]) -> None:
    if name in found:
        raise Invalid("the name is given twice. Give each hyperparameter one range.")
    if not name or name == OBJECTIVE:
        raise Invalid("is no name for a hyperparameter. Choose another.")


def _integer(given: Mapping[str, Any]) -> IntegerRange:
    for member in ("MinValue", "MaxValue"):
        if not _WHOLE.fullmatch(given[member]) or abs(int(given[member])) > _LARGEST_WHOLE:
            raise Invalid(f"{member} {given[member][:40]!r} is no whole number. Give one, or a continuous range.")
    least, most = int(given["MinValue"]), int(given["MaxValue"])
    _check_order(given, least, most)
    scaling = _scaling(given, least, most)
    if scaling is ScalingType.REVERSE_LOGARITHMIC:
        raise Invalid("ScalingType ReverseLogarithmic is for continuous ranges only. Choose another.")
    return IntegerRange(least=least, most=most, scaling=scaling)


def _continuous(given: Mapping[str, Any]) -> ContinuousRange:
    least, most = (_end(given, member) for member in ("MinValue", "MaxValue"))
    _check_order(given, least, most)
    if not math.isfinite(most - least):
        raise Invalid("MinValue and MaxValue lie too far apart. Choose a narrower range.")
    return ContinuousRange(least=least, most=most, scaling=_scaling(given, least, most))


def _end(given: Mapping[str, Any], member: str) -> float:
    value = _number(given[member])
    if value is None:
        raise Invalid(f"{member} {given[member][:40]!r} is no number. Give one, 0.1 or 1e-5 say.")
    return value


def _categorical(given: Mapping[str, Any]) -> CategoricalRange:
    several: Sequence[str] = given["Values"]
    if len(set(several)) < len(several):
        raise Invalid("a value is given twice. Give each once.")
    return CategoricalRange(values=tuple(several))


def _check_order(given: Mapping[str, Any], least: float, most: float) -> None:
    if least > most:
        raise Invalid(f"MinValue {given['MinValue']} is above MaxValue {given['MaxValue']}. Exchange them.")


def _scaling(given: Mapping[str, Any], least: float, most: float) -> ScalingType:
    asked = given.get("ScalingType", "Auto")
    if asked == "Auto":
        wide = least > 0 and most / least >= _MANY_TIMES
        return ScalingType.LOGARITHMIC if wide else ScalingType.LINEAR
    scaling = ScalingType(asked)
    if scaling is ScalingType.LOGARITHMIC and least <= 0:
        raise Invalid("ScalingType Logarithmic needs a MinValue above 0. Raise it, or choose Linear.")
    if scaling is ScalingType.REVERSE_LOGARITHMIC and not 0 <= least <= most < 1:
        raise Invalid("ScalingType ReverseLogarithmic needs values from 0 to below 1. Narrow the range.")
    return scaling


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


_READERS: dict[str, Callable[[Mapping[str, Any]], ParameterRange]] = {
    "IntegerParameterRanges": _integer,
    "ContinuousParameterRanges": _continuous,
    "CategoricalParameterRanges": _categorical,
}
