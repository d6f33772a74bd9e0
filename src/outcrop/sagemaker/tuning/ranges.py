"""Ranges of hyperparameters, read from a request in AWS's textual forms.

    space = ranges.read("ParameterRanges", request["ParameterRanges"])
    space["learning-rate"].text(1e-4)       # '0.0001', as hyperparameters are told

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from outcrop.errors import Invalid
from outcrop.search.ranges import (
    WHOLE,
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    ParameterRange,
    ScalingType,
    number,
)

MOST = 30
"Hyperparameters of one tuning job."
OBJECTIVE = "_tuning_objective_metric"
"The hyperparameter with which a training job is told its objective."
_LARGEST_WHOLE = 2**53
"Beyond it, a number with a decimal point would not tell neighbours apart."
_MANY_TIMES = 100
"A range whose end is this many times its beginning is gone through by orders of magnitude, where it says Auto."


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


def _check_name(name: str, found: Mapping[str, object]) -> None:
    if name in found:
        raise Invalid("the name is given twice. Give each hyperparameter one range.")
    if not name or name == OBJECTIVE:
        raise Invalid("is no name for a hyperparameter. Choose another.")


def _integer(given: Mapping[str, Any]) -> IntegerRange:
    for member in ("MinValue", "MaxValue"):
        if not WHOLE.fullmatch(given[member]) or abs(int(given[member])) > _LARGEST_WHOLE:
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
    value = number(given[member])
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


_READERS: dict[str, Callable[[Mapping[str, Any]], ParameterRange]] = {
    "IntegerParameterRanges": _integer,
    "ContinuousParameterRanges": _continuous,
    "CategoricalParameterRanges": _categorical,
}
