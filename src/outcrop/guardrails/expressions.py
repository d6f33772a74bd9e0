"""Custom regular expressions of a guardrail: checked when it is made, bounded where their form allows it."""

import re
import warnings
from collections.abc import Mapping
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import regex

from outcrop.errors import Invalid
from outcrop.guardrails.entities import CHECKED_EXPRESSIONS
from outcrop.guardrails.matching import LONGEST_S, PatternMatcher, anything

_WIDEST = 2048
"Letters of a match, beyond which an expression is looked at when the text has ended."
TRIAL_S = LONGEST_S
_TRIALS = ("a" * 64 + "!", "1" * 64 + "x", " " * 64 + ".", "a1" * 40 + "@")
"""Texts over which an expression that goes back again and again never ends. It is no proof: what these let through is
held by a limit at each use."""


def matcher_of(config: Mapping[str, Any], *, at: str) -> PatternMatcher:
    """The matcher of an entry of regexesConfig.

    Raises Invalid for what is no expression, is found in an empty text, or never ends.
    """
    name, written = config["name"], config["pattern"]
    try:
        pattern = regex.compile(written)
    except regex.error as error:
        raise Invalid(f"{at}.pattern: {written!r} is no regular expression: {error}.") from error
    if pattern.fullmatch(""):
        raise Invalid(f"{at}.pattern: {written!r} is found in an empty text too. Let it describe one letter at least.")
    try:
        for trial in _TRIALS:
            pattern.search(trial, timeout=TRIAL_S)
    except TimeoutError as error:
        raise Invalid(
            f"{at}.pattern: {written!r} takes more than {TRIAL_S:g} s over {len(_TRIALS[0])} letters. Write it "
            "without repetitions inside of repetitions."
        ) from error
    check = CHECKED_EXPRESSIONS.get(name, anything)
    return PatternMatcher(name=name, pattern=pattern, width=_width(written), check=check)


def _width(written: str) -> int | None:
    """The most letters of a match, as Python's own reader of expressions has it; None where there is no bound.

    What looks ahead may look beyond a bound, so it has none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a form that Python's own expressions will have one day
        try:
            parsed = parser.parse(written)
        except (re.error, OverflowError, RecursionError):
            return None
    if _looks(parsed):
        return None
    widest = int(parsed.getwidth()[1])
    return widest if widest <= _WIDEST else None


def _looks(parsed: Any) -> bool:
    """Whether a part of the expression looks ahead or back."""
    if isinstance(parsed, parser.SubPattern | list | tuple):
        return any(_looks(part) for part in parsed)
    return parsed in (constants.ASSERT, constants.ASSERT_NOT)
