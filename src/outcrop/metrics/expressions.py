"""Expressions of GetMetricData: arithmetic over the values of other queries, moment by moment.

    parse("100 * errors / (errors + invocations)").value({"errors": {...}, "invocations": {...}})

There are ids, numbers, + - * / ^ and parentheses. A moment has a value where every query that is named has one; where
something is divided by zero there is none, as CloudWatch has it. Functions, SEARCH and SELECT are refused by name.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from outcrop.errors import Invalid

Values = Mapping[datetime, float]
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z]\w*)|(?P<sign>[-+*/^()]))"
)
_SIGNS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
_DEEPEST = 50
_Formula = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True)
class Expression:
    """An expression, read."""

    names: frozenset[str]
    "The ids of the queries that it needs."
    _formula: _Formula

    def value(self, of: Mapping[str, Values]) -> dict[datetime, float]:
        """The value of each moment at which every named query has one."""
        given = [of[name] for name in sorted(self.names)]
        found = {}
        for at in sorted(set(given[0]).intersection(*given[1:])):
            try:
                value = self._formula({name: of[name][at] for name in self.names})
            except (ArithmeticError, ValueError):
                continue
            if math.isfinite(value):
                found[at] = value
        return found


def parse(text: str) -> Expression:
    """The expression in a text. Raises Invalid."""
    reader = _ExpressionReader(_tokens(text), text)
    formula = reader.whole()
    if not reader.names:
        raise Invalid(f"Expression: {text[:80]!r} names no query. Name one by its Id.")
    return Expression(frozenset(reader.names), formula)


def _tokens(text: str) -> list[str]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Invalid(
                f"Expression: not understood at {text[at : at + 40]!r}. Here are ids, numbers and + - * / ^ ( )."
            )
        name = match["name"]
        if name is not None and not name[0].islower():
            raise Invalid(
                f"Expression: {name[:40]} is not built in Outcrop yet. Here are ids, numbers and + - * / ^ ( )."
            )
        found.append(match[match.lastgroup or 0].strip())
        at = match.end()
    return found


class _ExpressionReader:
    """Reads from left to right: sums of products of powers."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0
        self.names: set[str] = set()

    def whole(self) -> _Formula:
        formula = self._sum(0)
        if self._at < len(self._tokens):
            raise self._unexpected()
        return formula

    def _sum(self, depth: int) -> _Formula:
        return self._chain("+-", self._product, depth)

    def _product(self, depth: int) -> _Formula:
        return self._chain("*/", self._signed, depth)

    def _chain(self, signs: str, part: Callable[[int], _Formula], depth: int) -> _Formula:
        """A part and those that follow it; worked off in a loop, for there may be a thousand."""
        first, others = part(depth), list[tuple[Callable[[float, float], float], _Formula]]()
        while (sign := self._takes(signs)) is not None:
            others.append((_SIGNS[sign], part(depth)))

        def formula(values: Mapping[str, float]) -> float:
            value = first(values)
            for operation, other in others:
                value = operation(value, other(values))
            return value

        return formula if others else first

    def _signed(self, depth: int) -> _Formula:
        if depth > _DEEPEST:
            raise Invalid("Expression: it is nested too deep.")
        negative = False
        while (sign := self._takes("+-")) is not None:
            negative ^= sign == "-"
        formula = self._power(depth)
        return (lambda values: -formula(values)) if negative else formula

    def _power(self, depth: int) -> _Formula:
        base = self._one(depth)
        if self._takes("^") is None:
            return base
        exponent = self._signed(depth + 1)
        return lambda values: math.pow(base(values), exponent(values))

    def _one(self, depth: int) -> _Formula:
        if self._takes("(") is not None:
            formula = self._sum(depth + 1)
            if self._takes(")") is None:
                raise self._unexpected()
            return formula
        token = self._tokens[self._at] if self._at < len(self._tokens) else ""
        self._at += 1
        if token[:1].isalpha():
            self.names.add(token)
            return lambda values: values[token]
        if token[:1].isdigit() or token[:1] == ".":
            number = float(token)
            return lambda _values: number
        self._at -= 1
        raise self._unexpected()

    def _takes(self, signs: str) -> str | None:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token is None or token not in signs:
            return None
        self._at += 1
        return token

    def _unexpected(self) -> Invalid:
        found = repr(self._tokens[self._at][:40]) if self._at < len(self._tokens) else "the end"
        return Invalid(f"Expression: {found} is not expected there in {self._text[:80]!r}.")
