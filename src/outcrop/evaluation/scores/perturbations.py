"""Prompts disturbed as people disturb them, to see how much worse the answers become.

Four kinds: letter case (width, in Japanese), typing mistakes, white space, and neighbouring keys ("butter fingers").
Each is drawn from a seed and the text, so that the same prompt is disturbed in the same way at every run. Figures are
left as they are: another number is another question.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

import regex

_SHARE = 0.05
"Letters that typing mistakes and neighbouring keys change; at least one."
_SPACE_SHARE = 0.1
"Spaces taken away, and places that get one."
_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KANA_ROWS = regex.findall(
    r"\w+",
    "あいうえお かきくけこ さしすせそ たちつてと なにぬねの はひふへほ まみむめも やゆよ らりるれろ わをん "
    "がぎぐげご ざじずぜぞ だぢづでど ばびぶべぼ ぱぴぷぺぽ",
)
"Kana that share a key of a telephone, where the Japanese type."
_LETTER = regex.compile(r"\p{L}")
_KANA_LETTER = regex.compile(r"[\p{Script=Hiragana}\p{Script=Katakana}\u30fc]")


class Perturbation(StrEnum):
    """A way in which people disturb what they type."""

    CASE = "case"
    TYPOS = "typos"
    WHITESPACE = "whitespace"
    BUTTER_FINGERS = "butter_fingers"


def perturbed(text: str, kind: Perturbation, *, seed: int = 0) -> str:
    """The text disturbed in one way; the same for the same seed."""
    digest = hashlib.sha256(f"{seed}\0{kind}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return _KINDS[kind](text, random.Random(digest))


def perturbations(
    text: str, kinds: Sequence[Perturbation] = tuple(Perturbation), *, seed: int = 0
) -> dict[Perturbation, str]:
    """The text disturbed in each way that changes it."""
    found = {kind: perturbed(text, kind, seed=seed) for kind in kinds}
    return {kind: other for kind, other in found.items() if other != text}


def lost(value: float, of_perturbed: Sequence[float], *, higher_is_better: bool = True) -> float:
    """How much worse a score is on average when the prompt is disturbed; 0 where it is never worse."""
    assert of_perturbed, "at least one disturbed prompt was answered"
    sign = 1 if higher_is_better else -1
    return sum(max(0.0, sign * (value - other)) for other in of_perturbed) / len(of_perturbed)


def _case(text: str, _random: random.Random) -> str:
    """Lower case; in a Japanese text, Latin letters of full width."""
    lower = text.lower()
    if not _KANA_LETTER.search(text):
        return lower
    return "".join(_wide(letter) for letter in lower)


def _wide(letter: str) -> str:
    return chr(ord(letter) + 0xFEE0) if letter.isascii() and letter.isalpha() else letter


def _typos(text: str, drawn: random.Random) -> str:
    """Letters left out, doubled, or in the wrong order, each inside a word."""
    letters = list(text)
    inner = [at for at in _letter_places(text) if at + 1 < len(text) and _LETTER.match(text[at + 1])]
    for at in sorted(_some(inner, drawn), reverse=True):
        kind = drawn.randrange(3)
        if kind == 0:
            del letters[at]
        elif kind == 1:
            letters.insert(at, letters[at])
        elif at + 1 < len(letters):
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def _butter_fingers(text: str, drawn: random.Random) -> str:
    """Letters exchanged for one of a neighbouring key; kana for one of the same key."""
    letters = list(text)
    able = [at for at in _letter_places(text) if letters[at].lower() in _NEIGHBOURS]
    for at in sorted(_some(able, drawn)):
        near = drawn.choice(_NEIGHBOURS[letters[at].lower()])
        letters[at] = near.upper() if letters[at].isupper() else near
    return "".join(letters)


def _whitespace(text: str, drawn: random.Random) -> str:
    """Spaces lost and spaces too many; in Japanese, which has none, ideographic ones too many."""
    extra = "\u3000" if _KANA_LETTER.search(text) else " "
    disturbed = []
    for at, letter in enumerate(text):
        if letter == " " and drawn.random() < _SPACE_SHARE:
            continue
        disturbed.append(letter)
        if _LETTER.match(letter) and at + 1 < len(text) and drawn.random() < _SPACE_SHARE:
            disturbed.append(extra)
    return "".join(disturbed)


def _letter_places(text: str) -> list[int]:
    return [found.start() for found in _LETTER.finditer(text)]


def _some(places: Sequence[int], drawn: random.Random) -> list[int]:
    return drawn.sample(places, max(1, round(_SHARE * len(places)))) if places else []


def _neighbours() -> Iterator[tuple[str, str]]:
    for row, keys in enumerate(_KEY_ROWS):
        for at, key in enumerate(keys):
            near = [keys[at - 1] if at else "", keys[at + 1] if at + 1 < len(keys) else ""]
            for other in (row - 1, row + 1):
                if 0 <= other < len(_KEY_ROWS):
                    near += _KEY_ROWS[other][max(0, at - 1) : at + 1] if other > row else _KEY_ROWS[other][at : at + 2]
            yield key, "".join(near)
    for kana in _KANA_ROWS:
        for row_of in (kana, "".join(chr(ord(letter) + 0x60) for letter in kana)):  # and katakana
            yield from ((letter, row_of.replace(letter, "")) for letter in row_of)


_NEIGHBOURS: Mapping[str, str] = dict(_neighbours())
_KINDS: Mapping[Perturbation, Callable[[str, random.Random], str]] = {
    Perturbation.CASE: _case,
    Perturbation.TYPOS: _typos,
    Perturbation.WHITESPACE: _whitespace,
    Perturbation.BUTTER_FINGERS: _butter_fingers,
}
