"""The regular expressions of the service models, which are Java's, as Python's.

A value must fit from its first character to its last, as in Java's `matches`. A pattern that Python cannot express is
not checked at all; `tests/protocol/test_validation.py` names each of them.
"""

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby

_POSIX = {
    "ASCII": "\\x00-\\x7F", "Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9", "Lower": "a-z", "Upper": "A-Z",
    "Print": "\\x20-\\x7E", "Graph": "\\x21-\\x7E", "Punct": "!-/:-@\\[-`{-~", "Space": " \\t\\n\\x0B\\f\\r",
}  # fmt: skip
_PROPERTY = re.compile(r"\\p\{(\w+)\}")
# In Java two escaped surrogates are one character: `\uD800\uDC00` is U+10000.
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_LONE_HYPHEN = re.compile(r"\[\\w-_\]")
# These read a run of equal characters in exponentially many ways, and sixty hyphens in a job name would stop the server
# for years. Their replacements accept the same strings (of the lengths the shapes allow) and read each in one way.
AMBIGUOUS = {
    r"(-*[a-zA-Z0-9\+\-\.])*": r"[a-zA-Z0-9\+\-\.]*",
    r"(-*[a-zA-Z0-9\+\-\.]){0,63}": r"[a-zA-Z0-9\+\-\.]*",
    r"([-a-z0-9]*[a-z0-9]){0,39}?": r"([-a-z0-9]*[a-z0-9])?",
    r"([.\-_a-zA-Z0-9]+/?){3,1016}": r"[.\-_a-zA-Z0-9](/?[.\-_a-zA-Z0-9]){2,}/?",
}

# bedrock-agent writes /d where it means a digit, so that no ARN of its own would fit.
_MISSPELT = {":/d{12}:": r":\d{12}:", "(?::/d+)": r"(?::\d+)"}


@cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern for `fullmatch`, or None when Python has no such expression."""
    for written, meant in (AMBIGUOUS | _MISSPELT).items():
        pattern = pattern.replace(written, meant)
    translated = _SURROGATES.sub(_joined, pattern)
    translated = _LONE_HYPHEN.sub(r"[\\w\\-_]", translated).replace("\\z", "\\Z")
    try:
        return re.compile(_expand_properties(translated))
    except (re.error, KeyError):
        return None


def prepare() -> None:
    """Read what the first pattern with a Unicode property would wait for, a third of a second."""
    _categories()


def _joined(found: re.Match[str]) -> str:
    high, low = int(found[1], 16), int(found[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _expand_properties(pattern: str) -> str:
    """`\\p{L}` as ranges of characters; outside of brackets they get their own."""
    result, position, inside = "", 0, False
    while position < len(pattern):
        found = _PROPERTY.match(pattern, position)
        if found:
            ranges = _POSIX.get(found[1]) or _ranges(found[1])
            result += ranges if inside else f"[{ranges}]"
            position = found.end()
            continue
        step = 2 if pattern[position] == "\\" else 1
        if step == 1:
            inside = pattern[position] == "[" or (inside and pattern[position] != "]")
        result += pattern[position : position + step]
        position += step
    return result


@cache
def _ranges(category: str) -> str:
    """All characters of a Unicode category such as L or Zs, as the inside of a character class."""
    parts = [f"\\U{first:08x}-\\U{last:08x}" for own, first, last in _categories() if own.startswith(category)]
    if not parts:
        raise KeyError(category)
    return "".join(parts)


@cache
def _categories() -> list[tuple[str, int, int]]:
    """Every stretch of characters of one category: the category, the first and the last of them.

    One pass over all of Unicode, for all categories: a request waits for the first pattern that asks for one.
    """
    stretches, first = [], 0
    for category, characters in groupby(map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))):
        end = first + sum(1 for _ in characters)
        stretches.append((category, first, end - 1))
        first = end
    return stretches
