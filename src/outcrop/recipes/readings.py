"""Readings of Japanese verses: morae counted, and held against the text that they are the reading of."""

import re
import unicodedata
from collections.abc import Sequence

# As examples/renga/mora.py, which must run without this package; and the marks that repeat a kana.
_LEANING = frozenset("ゃゅょぁぃぅぇぉゎャュョァィゥェォヮ")
_KANA = frozenset(map(chr, [*range(0x3041, 0x3097), *range(0x309D, 0x309F), *range(0x30A1, 0x30FF)])) - {"・"}
_VOICING = "\u3099\u309a"


def num_morae(reading: str) -> int | None:
    """Morae of a kana text, None for any other text.

    One a kana, and none for a small one, which leans on the one before.
    """
    composed = unicodedata.normalize("NFC", reading)
    if not composed or not _KANA.issuperset(composed):
        return None
    return sum(letter not in _LEANING for letter in composed)


def folded(text: str) -> str:
    """Hiragana without voicing marks and white space: old texts write か for が, and each edition parts verses anew."""
    bare = "".join(letter for letter in unicodedata.normalize("NFD", text) if letter not in _VOICING)
    return "".join(_hiragana(letter) for letter in bare if not letter.isspace())


def fits(text: Sequence[str], reading: Sequence[str]) -> bool:
    """Whether each ku can be read so: its kana in their order, anything else as some kana."""
    return len(text) == len(reading) and all(_fits(ku, kana) for ku, kana in zip(text, reading, strict=True))


def _fits(ku: str, reading: str) -> bool:
    if ku == reading:
        return True  # all kana: no pattern need be compiled
    pattern = re.sub(r"[^ぁ-ゖゝゞー]+", "(?:.+)", folded(ku))
    return re.fullmatch(pattern, folded(reading)) is not None


def _hiragana(letter: str) -> str:
    return chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter
