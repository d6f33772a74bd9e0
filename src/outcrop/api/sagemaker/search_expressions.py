"""Expressions of Search, compiled into a condition on records before any record is read.

matches = compiled(expression, shape)       # raises Invalid for a property, an operator or a value that is none
matches({"TrainingJobName": "a", ...})
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from outcrop.api.sagemaker import searched_properties
from outcrop.api.sagemaker.searched_properties import PropertyType, Scalar, SearchedProperty, number_in
from outcrop.errors import Invalid
from outcrop.protocol.shapes import StructureShape

_MOST_CONDITIONS = 50
_IN_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda own, given: own > given,
    "GreaterThanOrEqualTo": lambda own, given: own >= given,
    "LessThan": lambda own, given: own < given,
    "LessThanOrEqualTo": lambda own, given: own <= given,
}
_OF_TEXTS = ("Contains", "In")
_ORDERED = (PropertyType.NUMBER, PropertyType.TIME, PropertyType.MIXED)
_LIKE_TEXTS = (PropertyType.TEXT, PropertyType.MIXED)

Record = Mapping[str, Any]
Condition = Callable[[Record], bool]


def compiled(expression: Mapping[str, Any] | None, shape: StructureShape) -> Condition:
    """The condition of an expression; without one, every record fulfils it. Raises Invalid."""
    if expression is None:
        return lambda _record: True
    if _number_of_conditions(expression) > _MOST_CONDITIONS:
        raise Invalid(f"SearchExpression: more than {_MOST_CONDITIONS} filters and expressions. Ask in several.")
    return _expression(expression, shape)


def _expression(expression: Mapping[str, Any], shape: StructureShape) -> Condition:
    conditions = [
        *(_filter(each, shape) for each in expression.get("Filters") or ()),
        *(_nested(each, shape) for each in expression.get("NestedFilters") or ()),
        *(_expression(each, shape) for each in expression.get("SubExpressions") or ()),
    ]
    if not conditions:
        raise Invalid("SearchExpression: empty. Give at least one of Filters, NestedFilters and SubExpressions.")
    together = any if expression.get("Operator", "And") == "Or" else all
    return lambda record: together(condition(record) for condition in conditions)


def _nested(given: Mapping[str, Any], shape: StructureShape) -> Condition:
    """Whether one element of a list fulfils all filters."""
    name = given["NestedPropertyName"]
    inner = searched_properties.elements(shape, name)
    path = tuple(name.split("."))
    conditions = []
    for each in given["Filters"]:
        if not each["Name"].startswith(f"{name}."):
            raise Invalid(f"NestedFilters: {each['Name'][:200]} is no property of {name}. Begin its name with {name}.")
        conditions.append(_filter({**each, "Name": each["Name"].removeprefix(f"{name}.")}, inner))
    of_list = SearchedProperty(name=name, type=PropertyType.COMPOUND, path=path)
    return lambda record: any(all(condition(element) for condition in conditions) for element in of_list.values(record))


def _filter(given: Mapping[str, Any], shape: StructureShape) -> Condition:
    found = searched_properties.find(shape, given["Name"])
    operator = given.get("Operator", "Equals")
    if operator in ("Exists", "NotExists"):
        return lambda record: bool(found.values(record)) == (operator == "Exists")
    if "Value" not in given:
        raise Invalid(f"{found.name}: {operator} needs a Value. Give it one, or ask whether the property Exists.")
    _check_operator(found, operator)
    matches = _comparison(found, operator, given["Value"])
    if operator == "NotEquals":
        return lambda record: not any(matches(value) for value in found.values(record))
    return lambda record: any(matches(value) for value in found.values(record))


def _check_operator(found: SearchedProperty, operator: str) -> None:
    if found.type is PropertyType.COMPOUND:
        raise Invalid(f"{found.name}: is a structure. Name one of its members, or ask whether it Exists.")
    if operator in _IN_ORDER and found.type not in _ORDERED:
        raise Invalid(f"{found.name}: {operator} is for numbers and times, and the property is a {found.type}.")
    if operator in _OF_TEXTS and found.type not in _LIKE_TEXTS:
        raise Invalid(f"{found.name}: {operator} is for texts, and the property is a {found.type}.")


def _comparison(found: SearchedProperty, operator: str, text: str) -> Callable[[Any], bool]:
    """Whether a value of the property stands so to the filter's text; of NotEquals, whether it is equal."""
    if operator == "Contains":
        return lambda value: text in str(value)
    if operator == "In":
        several = {each.strip() for each in text.split(",")}
        return lambda value: str(value) in several
    if found.type is PropertyType.MIXED:
        return _mixed(found, operator, text)
    given = found.parsed(text)
    if operator in _IN_ORDER:
        in_order = _IN_ORDER[operator]
        return lambda value: in_order(value, given)
    return lambda value: bool(value == given)


def _mixed(found: SearchedProperty, operator: str, text: str) -> Callable[[Any], bool]:
    """The comparison as numbers where both are; a whole number is compared with the whole part of a hyperparameter."""
    given = number_in(text)
    if operator not in _IN_ORDER:
        return lambda value: value == text or (given is not None and number_in(value) == given)
    if given is None:
        raise Invalid(f"{found.name}: {operator} is for numbers, and {text[:80]!r} is none. Give a number.")
    in_order, is_whole = _IN_ORDER[operator], text.strip().lstrip("+-").isdecimal()

    def matches(value: Any) -> bool:
        own = number_in(value)
        return own is not None and in_order(int(own) if is_whole else own, given)

    return matches


def sort_key(found: SearchedProperty, record: Record) -> tuple[int, Scalar]:
    """The key that orders records: those without the property before all others, numbers before texts."""
    values = found.values(record)
    if not values:
        return 0, ""
    value = values[0]
    if isinstance(value, datetime):
        return 1, value.timestamp()
    if isinstance(value, bool | int | float):
        return 1, float(value)
    number = number_in(value) if found.type is PropertyType.MIXED else None
    return (2, str(value)) if number is None else (1, number)


def _number_of_conditions(expression: Mapping[str, Any]) -> int:
    inner: Sequence[Mapping[str, Any]] = expression.get("SubExpressions") or ()
    nested = [each for of in expression.get("NestedFilters") or () for each in of["Filters"]]
    return len(expression.get("Filters") or ()) + len(nested) + sum(1 + _number_of_conditions(each) for each in inner)
