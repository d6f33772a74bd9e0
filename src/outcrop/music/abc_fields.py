"""The values of ABC's information fields: keys, metres, unit lengths."""

import re
from collections.abc import Iterator
from fractions import Fraction

from outcrop.music.keys import C_MAJOR, MODES, MOST_FIFTHS, Key, Spelling
from outcrop.music.score import Metre

_KEY = re.compile(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)")
_MODES = {mode[:3]: mode for mode in MODES} | {"m": "minor", "": "major"}
_ALTERS = {"#": 1, "b": -1, "": 0}
_METRES = {"C": Metre(4, 4), "C|": Metre(2, 2)}


def parse_key(text: str, *, otherwise: Key = C_MAJOR) -> Key:
    """The key that K: names, such as G, Em, D mix or HP; `otherwise` where it names only a clef."""
    if text.strip().lower() in ("none", ""):
        return C_MAJOR
    if text.strip().startswith(("HP", "Hp")):
        return Key(2, "major")  # Highland pipes: F and C sharp, printed or not.
    found = _KEY.match(text)
    if not found:
        return otherwise
    mode = _MODES.get(found[3].lower()[:3], "major")
    fifths = Spelling(found[1], _ALTERS[found[2]]).fifths - MODES[mode]
    return Key(fifths, mode) if abs(fifths) <= MOST_FIFTHS else otherwise


def parse_metre(text: str) -> Metre | None:
    """The metre that M: names: 3/4, C, C|, 2+3/8; None for `none` and what is no metre."""
    text = text.strip()
    if text in _METRES:
        return _METRES[text]
    found = re.fullmatch(r"\(?(\d{1,4}(?:\s*\+\s*\d{1,4}){0,20})\)?\s*/\s*(\d{1,4})", text)
    if not found:
        return None
    metre = Metre(sum(int(part) for part in found[1].split("+")), int(found[2]))
    return metre if metre.beats and metre.unit else None


def parse_unit(text: str) -> Fraction | None:
    """The unit length that L: names, such as 1/8."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*(?:/\s*(\d{1,6}))?\s*", text)
    if not found or not int(found[1]) or found[2] == "0":
        return None
    return Fraction(int(found[1]), int(found[2] or 1))


def usual_unit(metre: Metre | None) -> Fraction:
    """The unit length that ABC assumes where no L: stands: 1/16 for metres under 3/4, else 1/8."""
    return Fraction(1, 16) if metre and metre.length < Fraction(3, 4) else Fraction(1, 8)


def parse_passes(text: str) -> tuple[int, ...]:
    """The passes of a repeat that an ending names: 1, 1,2 or 1-3."""
    return tuple(number for part in text.split(",") for number in _range(part))


def _range(part: str) -> Iterator[int]:
    first, _, last = part.partition("-")
    yield from range(int(first), min(int(last or first), int(first) + 99) + 1)
