"""Words of a text for ROUGE: as the package rouge-score cuts English, and by MeCab or by character in Japanese.

Scripts without spaces need an analyser to find words. Where MeCab is installed (`pip install 'outcrop[japanese]'`, with
the dictionary IPADIC, as sacrebleu uses it), texts with kana are cut by it; else each of their characters counts as a
word. The two give different figures, so every score says which it was.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import regex

from outcrop.errors import Invalid
from outcrop.evaluation.scores.normalising import UNSPACED, is_unspaced

_ASCII_WORDS = regex.compile(r"[a-z0-9]+")
_RUNS = regex.compile(rf"([{UNSPACED}][{UNSPACED}\p{{M}}]*)|[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]+", regex.V1)
"Stretches of a script without spaces, and words of others."
_CHARACTERS = regex.compile(r".\p{M}*")
_LETTERS = r"\u3005\u3041-\u3096\u3099\u309a\u309d\u309e\u30a1-\u30fa\u30fc-\u30fe\u3400-\u4dbf\u4e00-\u9fff"
_COMMON = re.compile(f"([{_LETTERS}]+)")
"Stretches of common Japanese and Chinese letters, by number: quicker to find than by script."
_OTHER = re.compile(rf"[^{_LETTERS}\W_]")
_BETWEEN = re.compile(r"[\W_]+")
_WIDE_PUNCTUATION = re.compile("[\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\u3000]+")
_KANA = regex.compile(r"[\p{Script=Hiragana}\p{Script=Katakana}]")
_LETTER = regex.compile(r"[\p{L}\p{N}]")
_UNREADABLE = regex.compile(r"[\x00\ud800-\udfff]")
INSTALL_MECAB = "Install it with: pip install 'outcrop[japanese]'"


class WordUnit(StrEnum):
    """The unit that texts of a script without spaces are cut into."""

    WORDS = "words"
    CHARACTERS = "characters"


CutUnit = str | int
"A word, or a character with its marks; a common character is its code point, which compares in half the time."


class CutTexts(NamedTuple):
    """Two texts cut into the same unit."""

    answer: Sequence[CutUnit]
    reference: Sequence[CutUnit]
    unit: str
    "For people: `words`, `words by MeCab (IPADIC)` or `characters`."


def has_mecab() -> bool:
    """Whether the analyser and its dictionary are installed."""
    return find_spec("MeCab") is not None and find_spec("ipadic") is not None


def unit_of(argument: str) -> WordUnit:
    """The unit that a score is asked for, else words where MeCab is installed.

    Raises Invalid for a unit that is none, and for words without MeCab.
    """
    if not argument:
        return WordUnit.WORDS if has_mecab() else WordUnit.CHARACTERS
    if argument not in tuple(WordUnit):
        raise Invalid(f"{argument!r} is no unit of a text. Write words or characters.")
    if argument == WordUnit.WORDS and not has_mecab():
        raise Invalid(f"Words of Japanese need MeCab and its dictionary. {INSTALL_MECAB}, or ask for characters.")
    return WordUnit(argument)


def cut(answer: str, reference: str, unit: WordUnit) -> CutTexts:
    """An answer and a reference in words, both in the same way; `unit` is what Japanese is cut into."""
    if answer.isascii() and reference.isascii():
        return CutTexts(_ASCII_WORDS.findall(answer.lower()), _ASCII_WORDS.findall(reference.lower()), "words")
    texts = [_plain(answer), _plain(reference)]
    if unit is WordUnit.WORDS and any(_KANA.search(text) for text in texts):
        split = _mecab()
        words = [[word for word in split(text) if _LETTER.search(word)] for text in texts]
        return CutTexts(words[0], words[1], "words by MeCab (IPADIC)")
    ours, theirs = map(_characters, texts)
    return CutTexts(ours, theirs, "characters" if any(map(is_unspaced, texts)) else "words")


def _plain(text: str) -> str:
    # To see that a text is normalized already is quicker than to normalize it, and mostly punctuation alone is not.
    if not unicodedata.is_normalized("NFKC", text):
        text = _WIDE_PUNCTUATION.sub(" ", text)
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFKC", text)
    return text.lower()


def _characters(text: str) -> list[CutUnit]:
    """The characters of scripts without spaces, each with its marks, and the words of others, in order."""
    if not _OTHER.search(text):
        return _code_points(_BETWEEN.sub("", text))
    found: list[CutUnit] = []
    for number, part in enumerate(_COMMON.split(text)):
        if number % 2:
            found += _code_points(part)
        elif part:
            for run in _RUNS.finditer(part):
                found += _CHARACTERS.findall(run.group()) if run.lastindex else [run.group()]
    return found


def _code_points(text: str) -> list[CutUnit]:
    return memoryview(text.encode("utf-32-le", "surrogatepass")).cast("I").tolist()  # type: ignore[return-value]


def readable(text: str) -> str:
    """The text as MeCab reads it whole: without zero bytes, which end it, and halves of surrogate pairs."""
    return text if text.isascii() and text.isprintable() else _UNREADABLE.sub(" ", text)


@cache
def _mecab() -> Callable[[str], list[str]]:
    """The function that cuts a Japanese text into words; the dictionary is opened at the first call."""
    import ipadic
    import MeCab

    tagger = MeCab.Tagger(f"{ipadic.MECAB_ARGS} -Owakati")
    return lambda text: str(tagger.parse(readable(text))).split()
