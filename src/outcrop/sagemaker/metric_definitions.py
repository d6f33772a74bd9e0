"""Metrics in what a script prints: a regular expression each, with one group that holds a number.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import regex

from outcrop.errors import Invalid

NAMESPACE = "/aws/sagemaker/TrainingJobs"
"Of the metrics in CloudWatch."
_MOST_LETTERS = 4096
"Of a line that is looked at."
_LONGEST_S = 1.0
"For one expression over one line: one that goes back again and again would never end."


class PrintedNumber(NamedTuple):
    """The value of a metric, as a line of the log tells it."""

    name: str
    value: float


class MetricDefinitions:
    """The metrics of one training job."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        """Raises Invalid for an expression that is none."""
        self._expressions = [(each["Name"], _compiled(each)) for each in definitions]

    def numbers_in(self, line: str) -> list[PrintedNumber]:
        """The numbers of a line. Raises Invalid for an expression that takes too long over it."""
        found = []
        for name, expression in self._expressions:
            try:
                match = expression.search(line, 0, _MOST_LETTERS, timeout=_LONGEST_S)
            except TimeoutError as error:
                raise Invalid(
                    f"MetricDefinitions: the expression of {name} took more than {_LONGEST_S:g} s over one line. "
                    "Write it without repetitions inside of repetitions."
                ) from error
            value = None if match is None or not match.re.groups else _number(match.group(1))
            if value is not None:
                found.append(PrintedNumber(name, value))
        return found


def _compiled(definition: Mapping[str, Any]) -> "regex.Pattern[str]":
    try:
        return regex.compile(definition["Regex"])
    except regex.error as error:
        raise Invalid(
            f"MetricDefinitions: the Regex of {definition['Name']} is no regular expression: {error}."
        ) from error


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
