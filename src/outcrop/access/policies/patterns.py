"""Patterns of policy documents: `*`, `?`, `${variables}`, and the ARNs they are compared with.

A pattern is filled first (variables become values), then matched. Filling turns the document's own wildcards into two
private characters, so that a `*` inside a variable's value stays a plain star and widens nothing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

ANY, ONE = "\ue000", "\ue001"
_WILDCARDS = str.maketrans({"*": ANY, "?": ONE})
_PRIVATE = re.compile("[\ue000-\ue003]")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"^\s*([^,\s]+)\s*,\s*'(.*)'\s*$", re.DOTALL)
_LITERALS = {"*": "*", "?": "?", "$": "$"}
_SEGMENTS = 6

Values = tuple[str, ...]


def fill(template: str, context: Mapping[str, Values], *, variables: bool) -> str | None:
    """The template as a pattern, its variables replaced; None when the request has no value for one of them.

    Without `variables` (documents older than 2012-10-17) `${…}` is plain text.
    """
    if not variables or "${" not in template:
        return template.translate(_WILDCARDS)
    filled: list[str] = []
    for place, part in enumerate(_VARIABLE.split(template)):
        value = _value_of(part, context) if place % 2 else part.translate(_WILDCARDS)
        if value is None:
            return None
        filled.append(value)
    return "".join(filled)


def variables_in(text: str) -> frozenset[str]:
    """The keys of all variables that a text could mean, in lower case."""
    return frozenset(each.partition(",")[0].strip().lower() for each in _VARIABLE.findall(text))


def plain(pattern: str) -> str:
    """A filled pattern with its wildcards written as the characters they were."""
    return pattern.replace(ANY, "*").replace(ONE, "?")


def matches(pattern: str, text: str) -> bool:
    """Whether a filled pattern covers the whole text; `*` any characters, `?` one, case counts."""
    if ANY not in pattern and ONE not in pattern:
        return pattern == text
    return pattern == ANY or _covers(_tokens(pattern), text)


def covers_arn(pattern: str, arn: str) -> bool:
    """Whether a Resource pattern covers an ARN: a star crosses a colon only as the last character of its part.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if pattern == ANY:
        return True
    if ANY not in pattern and ONE not in pattern:
        return pattern == arn
    return _covers(_arn_tokens(pattern), arn)


def like_arn(pattern: str, arn: str) -> bool:
    """Whether all six parts of an ARN match the pattern's, each for itself, as ArnLike asks."""
    wanted, given = pattern.split(":", _SEGMENTS - 1), arn.split(":", _SEGMENTS - 1)
    return len(wanted) == len(given) == _SEGMENTS and all(map(matches, wanted, given))


def _value_of(name: str, context: Mapping[str, Values]) -> str | None:
    if name in _LITERALS:
        return _LITERALS[name]
    with_default = _DEFAULT.match(name)
    key, default = with_default.groups() if with_default else (name.strip(), None)
    values = context.get(key.lower(), ())
    # A key with several values has no single text to stand for it; and a value that holds our private characters
    # would widen the pattern, so it counts as none.
    if len(values) == 1 and not _PRIVATE.search(values[0]):
        return values[0]
    return default


_ANY_INSIDE, _ONE_INSIDE = "\ue002", "\ue003"


@lru_cache(maxsize=4096)
def _tokens(pattern: str) -> tuple[str, ...]:
    return tuple(pattern)


@lru_cache(maxsize=4096)
def _arn_tokens(pattern: str) -> tuple[str, ...]:
    tokens: list[str] = []
    colons = 0
    for place, sign in enumerate(pattern):
        colons += sign == ":"
        inside = colons < _SEGMENTS - 1
        last_of_part = pattern[place + 1 : place + 2] in ("", ":")
        if sign == ANY and inside and not last_of_part:
            tokens.append(_ANY_INSIDE)
        elif sign == ONE and inside:
            tokens.append(_ONE_INSIDE)
        else:
            tokens.append(sign)
    return tuple(tokens)


@lru_cache(maxsize=8192)
def _covers(tokens: tuple[str, ...], text: str) -> bool:
    """The places in the pattern that can be reached, character by character: no backtracking, whatever the stars."""
    places = _past_stars({0}, tokens)
    for sign in text:
        reached: set[int] = set()
        for place in places:
            if place == len(tokens):
                continue
            token = tokens[place]
            if token == ANY or (token == _ANY_INSIDE and sign != ":"):
                reached.add(place)
            elif token in (sign, ONE) or (token == _ONE_INSIDE and sign != ":"):
                reached.add(place + 1)
        places = _past_stars(reached, tokens)
        if not places:
            return False
    return len(tokens) in places


def _past_stars(places: set[int], tokens: tuple[str, ...]) -> set[int]:
    """The places, and those behind the stars that stand there, since a star may match nothing."""
    for place in list(places):
        while place < len(tokens) and tokens[place] in (ANY, _ANY_INSIDE):
            place += 1
            places.add(place)
    return places
