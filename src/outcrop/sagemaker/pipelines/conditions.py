"""Conditions of a Condition step: comparisons of values that are known once their references are resolved."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from outcrop.errors import Invalid

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_IN, _NOT, _OR = "In", "Not", "Or"
_MEMBERS = {_IN: ("QueryValue", "Values"), _NOT: ("Expression",), _OR: ("Conditions",)}


def check(condition: Any) -> None:
    """Raises Invalid for what is no condition."""
    kind = condition.get("Type") if isinstance(condition, Mapping) else None
    members = ("LeftValue", "RightValue") if kind in _COMPARISONS else _MEMBERS.get(str(kind))
    if members is None:
        raise Invalid(f"Type: {kind!r} is no condition. Name one of {', '.join([*_COMPARISONS, _IN, _NOT, _OR])}.")
    for member in members:
        if member not in condition:
            raise Invalid(f"{kind}: {member} is missing.")
    if kind == _NOT:
        check(condition["Expression"])
    for member in ("Values", "Conditions"):
        if member in members and not isinstance(condition[member], list):
            raise Invalid(f"{kind}: {member} is no list.")
    if kind == _OR:
        for each in condition["Conditions"]:
            check(each)


def holds(condition: Mapping[str, Any]) -> bool:
    """Whether a condition whose references are resolved holds. Raises Invalid for values that cannot be compared."""
    kind = condition["Type"]
    if kind == _NOT:
        return not holds(condition["Expression"])
    if kind == _OR:
        return any(holds(each) for each in condition["Conditions"])
    if kind == _IN:
        return condition["QueryValue"] in condition["Values"]
    left, right = condition["LeftValue"], condition["RightValue"]
    try:
        return _COMPARISONS[kind](left, right)
    except TypeError as error:
        raise Invalid(f"{kind}: {left!r} and {right!r} cannot be compared. Compare numbers, or texts.") from error
