"""Answers that can be shown as more than text: tunes in ABC, and verses whose morae are counted."""

import re
from typing import NamedTuple

from outcrop.recipes.readings import num_morae

_MOST_CHARACTERS = 8_000
_TUNE = re.compile(r"^X:[^\n]*\n(?:[^\n]*\n)*?K:[^\n]*(?:\n(?!\s*\n)[^\n]*)*", re.MULTILINE)
_CHORD = re.compile(r"'[A-G][^'\n|]{0,12}'")
_BARS = re.compile(r"[A-Ga-gz0-9/,'^_=\[\]()<>~\-:|.\s]+")
_NOTE = re.compile(r"[A-Ga-gz]")
_FEWEST_NOTES, _FEWEST_LINES = 4, 2
_HEADER = "X:1\nT:\nL:1/8\nK:C\n"
_KU = re.compile(r"[ぁ-ゖゝゞァ-ヺー一-鿿々〆ヶ]+")
_BETWEEN = re.compile(r"[\s、，]+")
_MOST_KU, _LONGEST_KU = 8, 10


class CountedKu(NamedTuple):
    """A part of a verse with its morae; None where it has kanji, whose reading is a guess."""

    text: str
    morae: int | None


class FoundTune(NamedTuple):
    """A tune in an answer: its ABC, whole, and the sign that stands around its chords."""

    abc: str
    quote: str


def tune_in(text: str) -> FoundTune | None:
    """The first tune of an answer: with its header, or bare bars as a model for infilling writes them."""
    if len(text) > _MOST_CHARACTERS:
        return None
    quote = "'" if _CHORD.search(text) else '"'
    whole = _TUNE.search(text.replace("\r\n", "\n"))
    if whole is not None:
        return FoundTune(whole[0], quote)
    bare = re.sub(r'"[^"\n]{0,20}"', "", _CHORD.sub("", text)).strip()
    if bare.count("|") >= _FEWEST_LINES and _BARS.fullmatch(bare) and len(_NOTE.findall(bare)) >= _FEWEST_NOTES:
        return FoundTune(f"{_HEADER}{text.strip()}\n", quote)
    return None


def verse_in(text: str) -> list[CountedKu]:
    """The ku of an answer that is a Japanese verse, each with its morae; none of any other answer."""
    lines = text.strip().removesuffix("。")
    parts = [part for part in _BETWEEN.split(lines) if part]
    # Whoever writes a verse parts its ku by blanks or lines; where commas part them, only a haiku or a waka is known.
    is_parted = len(lines.split()) == len(parts) or len(parts) in (3, 5)
    if not is_parted or not 2 <= len(parts) <= _MOST_KU or not all(map(_is_ku, parts)):
        return []
    return [CountedKu(part, num_morae(part)) for part in parts]


def _is_ku(part: str) -> bool:
    return len(part) <= _LONGEST_KU and _KU.fullmatch(part) is not None


def told_morae(verse: list[CountedKu]) -> str:
    """The morae as verses are told: `5-7-5`; a ku with kanji has a question mark."""
    return "-".join("?" if ku.morae is None else str(ku.morae) for ku in verse)
