"""The tokens of a line of ABC: notes, rests, bar lines, chord texts, fields and the signs between them."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

_CHORD = r"[A-GN][A-Za-z0-9#+°ø/().\-]*"
"A chord's text, where it stands in single quotes, which ABC itself uses for octaves."
_LENGTH = r"(?P<{0}above>\d{{0,6}})(?P<{0}slashes>/{{0,9}})(?P<{0}below>\d{{0,6}})"
"No note has a longer number; digits beyond are no music."
_KINDS = {
    "field": r"\[(?P<letter>[A-Za-z]):(?P<value>[^\]\n]*)\]",
    "quoted": r"\"(?P<text>[^\"\n]*)\"",
    "single": rf"'(?P<single_text>{_CHORD})'",
    "decoration": r"![^!|\n]*!",
    "tuplet": r"\((?P<actual>\d)(?::(?P<normal>\d{0,2}))?(?::(?P<count>\d{0,3}))?",
    "bar": r"(?P<close>:*)\.?(?P<line>\[?\|+\]?)(?P<open>:*)|(?P<both>::+)",
    "volta": r"(?:(?<=\|)|\[)(?P<numbers>\d{1,3}(?:[,\-]\d{1,3})*)",
    "graces": r"\{/?",
    "graces_end": r"\}",
    "note": r"(?P<accidental>\^\^?|__?|=)?(?P<step>[A-Ga-g])(?P<octave>(?:,|OCTAVE_UP)*)" + _LENGTH.format(""),
    "rest": r"(?P<rest>[zxZX])" + _LENGTH.format("rest_"),
    "spacer": r"y\d*/*\d*",
    "struck": r"\[",
    "struck_end": r"\]" + _LENGTH.format("struck_"),
    "tie": r"-",
    "broken": r">{1,3}|<{1,3}",
    "slur": r"[()]",
    "overlay": r"&+",
    "symbol": r"[.~H-Wh-w]",
    "space": r"[\s`$*\\]+",
    "other": r".",
}


class Token(NamedTuple):
    """A token of ABC: its kind, its text, and its named parts."""

    kind: str
    text: str
    parts: dict[str, str | None]
    at: int


def tokens(text: str, *, quote: str = '"') -> Iterator[Token]:
    """The tokens of a tune's music. With `quote` of ', chords may stand in single quotes as well."""
    for found in (_SINGLE if quote == "'" else _DOUBLE).finditer(text):
        kind = found.lastgroup
        assert kind is not None, "every alternative has a name"
        yield Token(kind.removesuffix("_"), found[0], found.groupdict(), found.start())


def length_of(token: Token, prefix: str = "") -> Fraction:
    """The multiple of the unit length that a token is written with."""
    above, slashes, below = (token.parts[f"{prefix}{part}"] or "" for part in ("above", "slashes", "below"))
    number = Fraction(int(above or 1))
    if not slashes:
        return number
    divisor = int(below) if below else 2 ** len(slashes)
    return number / divisor if divisor else number


def _pattern(octave_up: str, *, without: str) -> re.Pattern[str]:
    kinds = {name: text.replace("OCTAVE_UP", octave_up) for name, text in _KINDS.items() if name != without}
    return re.compile("|".join(f"(?P<{name}_>{text})" for name, text in kinds.items()))


_DOUBLE = _pattern("'", without="single")
_SINGLE = _pattern(f"'(?!{_CHORD}')", without="")
