"""Grades on a scale, read out of a judge's words. What cannot be read as one grade is none: nothing is guessed.

A judge is asked to end with a line `Grade: LABEL`. JSON with the key `grade` counts too, and an answer that is nothing
but a label.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"^[\W_]*(?:final\s+)?grade[\W_]*[:：=][\W_]*(?P<label>.+?)[\W_]*$", re.IGNORECASE | re.MULTILINE)
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_BLANKS = re.compile(r"[\s_-]+")
_LONGEST_SHOWN = 500


@dataclass(frozen=True, kw_only=True)
class ScaleGrade:
    """A grade that a judge may give, and what it counts."""

    label: str
    definition: str
    "What the judge is told of it; empty where the label says it all."
    value: float | str


Scale = Sequence[ScaleGrade]


@dataclass(frozen=True, kw_only=True)
class GivenGrade:
    """A grade that a judge gave, or the reason why none could be read."""

    grade: ScaleGrade | None
    told: str
    "The judge's words."

    @property
    def is_read(self) -> bool:
        return self.grade is not None

    @property
    def explanation(self) -> str:
        """The judge's words for people, less the line with the grade."""
        return _LINE.sub("", self.told).strip() or self.told.strip()


def read_grade(told: str, scale: Scale) -> GivenGrade:
    """The one grade of the scale that these words give."""
    found = _json(told) or _last_line(told) or told
    label = _normal(found)
    chosen = [each for each in scale if _normal(each.label) == label]
    return GivenGrade(grade=chosen[0] if len(chosen) == 1 else None, told=told)


def why_unread(given: GivenGrade, scale: Scale) -> str:
    """The sentence about a judge's answer that holds no grade."""
    labels = ", ".join(each.label for each in scale)
    shown = given.told.strip()[:_LONGEST_SHOWN]
    if not shown:
        return f"The judge said nothing, and should have ended with one of: {labels}."
    return f"No grade could be read, which should have been one of: {labels}. The judge said: {shown}"


def _last_line(told: str) -> str:
    """The text of the last line with a grade."""
    lines = [found["label"] for found in _LINE.finditer(told)]
    return lines[-1] if lines else ""


def _json(told: str) -> str:
    """The grade of an answer in JSON, alone or in a fence."""
    start, end = told.find("{"), told.rfind("}")
    if start < 0 or end < start:
        return ""
    try:
        value = json.loads(told[start : end + 1])
    except (ValueError, RecursionError):
        return ""
    found = {str(key).lower(): each for key, each in value.items()}.get("grade") if isinstance(value, dict) else None
    return str(found) if isinstance(found, str | int | float) else ""


def _normal(label: str) -> str:
    """A label without case, quotes, points around it, and kinds of blanks."""
    return _BLANKS.sub(" ", _EDGES.sub("", label.strip())).casefold()
