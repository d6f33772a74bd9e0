"""Expressions over metrics: what they come to, moment by moment, and what is none."""

from datetime import UTC, datetime, timedelta

import pytest

from outcrop.errors import Invalid
from outcrop.metrics.expressions import parse

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
GIVEN = {"a": {NOON: 6.0, LATER: 2.0}, "b": {NOON: 3.0}, "z": {NOON: 0.0, LATER: 1.0}}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a", [6, 2]),
        ("a + b", [9]),
        ("a - b - 1", [2]),
        ("2 + 3 * a", [20, 8]),
        ("(2 + 3) * a", [30, 10]),
        ("a / b / 2", [1]),
        ("-a ^ 2", [-36, -4]),
        ("2 ^ a ^ z", [2, 4]),
        ("2 ^ -z", [1, 0.5]),
        ("--a", [6, 2]),
        ("1.5e1 + .5 + a", [21.5, 17.5]),
        ("a / z", [2]),
        ("(0 - a) ^ .5", []),
        ("a ^ 999", [2.0**999]),
        ("+".join(["a"] * 1000), [6000, 2000]),
    ],
)
def test_an_expression_has_the_value_of_arithmetic(text: str, values: list[float]) -> None:
    assert list(parse(text).value(GIVEN).values()) == values


def test_an_expression_tells_which_queries_it_needs() -> None:
    assert parse("a * (b + a)").names == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 + 2", "names no query"),
        ("", "the end is not expected there"),
        ("a +", "the end is not expected there"),
        ("a b", "'b' is not expected there"),
        ("(a", "the end is not expected there"),
        ("a)", "')' is not expected there"),
        ("a $ b", "not understood at"),
        ("SUM(METRICS())", "SUM is not built in Outcrop yet"),
        ("(" * 60 + "a" + ")" * 60, "nested too deep"),
        ("2 ^ " * 60 + "a", "nested too deep"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text)
    assert told in refused.value.message
