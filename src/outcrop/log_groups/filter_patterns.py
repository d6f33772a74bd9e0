"""Filter patterns of CloudWatch Logs over unstructured lines; those over JSON stand in `json_patterns.py`.

    ERROR timeout            every term, anywhere in the line; upper and lower case differ
    "read timed out"         a phrase, or a term with anything but letters, digits and _
    ?WARN ?ERROR             any of them; ignored beside other terms, as CloudWatch Logs does
    ERROR -Retrying          and not this one
    { $.level = "error" }    members of a line that is a JSON object

Regular expressions (%…%) and patterns of fields between spaces ([ip, user, …]) are refused by name.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from outcrop.errors import Invalid
from outcrop.log_groups import json_patterns

Matcher = Callable[[str], bool]
"Whether a message is what a pattern asks for."
_TERM = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))')
_WORD = re.compile(r"\w+")
_ESCAPED = re.compile(r"\\(.)")


class _Terms(NamedTuple):
    """The terms of a pattern by what is asked of them."""

    all_of: list[str]
    any_of: list[str]
    none_of: list[str]


def parse(pattern: str) -> Matcher | None:
    """The matcher of a pattern; None for an empty one, which every message fits. Raises Invalid."""
    text = pattern.strip()
    if not text:
        return None
    if text.startswith("{"):
        return json_patterns.parse(text)
    if text.startswith("["):
        raise Invalid(
            "filterPattern: patterns of fields between spaces ([…]) are not built in Outcrop yet. Use terms, phrases, "
            "or a JSON pattern."
        )
    return _matcher(_terms(text))


def _terms(text: str) -> _Terms:
    found = _Terms([], [], [])
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None:
            raise Invalid(f"Invalid filter pattern: a quotation mark is not closed at {text[at : at + 40]!r}.")
        lists = {"": found.all_of, "?": found.any_of, "-": found.none_of}
        lists[term["sign"]].append(_checked(term))
        at = term.end()
    return found


def _checked(term: re.Match[str]) -> str:
    if term["word"] is None:
        return _ESCAPED.sub(r"\1", term["phrase"])
    word: str = term["word"]
    if word.startswith("%"):
        raise Invalid(
            "filterPattern: regular expressions (%…%) are not built in Outcrop yet. Use terms, phrases, or a JSON "
            "pattern."
        )
    if _WORD.fullmatch(word) is None:
        raise Invalid(
            f"Invalid filter pattern: invalid character(s) in term '{word[:80]}'. Put terms with anything but letters, "
            "digits and '_' between quotation marks."
        )
    return word


def _matcher(terms: _Terms) -> Matcher:
    all_of, any_of, none_of = terms
    if any_of and not all_of and not none_of:
        return lambda message: any(term in message for term in any_of)
    return lambda message: all(term in message for term in all_of) and not any(term in message for term in none_of)
