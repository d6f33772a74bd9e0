"""The share of an answer that was copied, from its prompt or from the texts of training.

A character counts as copied when it stands in a run of 30 characters that the source has too; in Chinese, Japanese and
Korean, of 12, since one of those says more. Case, white space and width are set aside. Texts shorter than a run are
never copied. An index of training texts is made once and takes eight bytes for each different run.
"""

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from outcrop.evaluation.scores.scoring import Candidate, ScoreNeed, ScoreValue, TextScore, each

_Hashes = NDArray[np.uint64]
_Letters = NDArray[np.uint32]

RUN, CJK_RUN = 30, 12
"Characters of a run; the second where most letters are Chinese, Japanese or Korean."
_CJK = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0x20000, 0x3FFFF))
_FACTOR, _MIX, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD), np.uint64(33)
_FOLDED_AT = 1 << 22
"Runs gathered before they are sorted into the index."


class _CopiedPart(NamedTuple):
    """The part of a text that a source has too."""

    share: float
    longest: str


class RunIndex:
    """The runs of characters of many texts, to find what a text has in common with them."""

    def __init__(self, texts: Iterable[str]) -> None:
        gathered: dict[int, list[_Hashes]] = {RUN: [], CJK_RUN: []}
        waiting = 0
        for text in texts:
            letters = _letters(_plain(text))
            # A text of one script may quote another, so that short runs are kept of texts with any such letters.
            for length in (RUN, CJK_RUN) if _has_cjk(letters) else (RUN,):
                gathered[length].append(_runs(letters, length))
                waiting += len(gathered[length][-1])
            if waiting > _FOLDED_AT:
                gathered, waiting = {length: [_folded(parts)] for length, parts in gathered.items()}, 0
        self._runs = {length: _folded(parts) for length, parts in gathered.items()}

    @property
    def num_runs(self) -> int:
        """Different runs of the texts, of both lengths."""
        return sum(map(len, self._runs.values()))

    def copied(self, text: str) -> _CopiedPart:
        """The share of the text's characters that stand in a run of these texts, and the longest stretch of them."""
        plain = _plain(text)
        letters = _letters(plain)
        length = CJK_RUN if _is_cjk(letters) else RUN
        known, asked = self._runs[length], _runs(letters, length)
        if not len(asked) or not len(known):
            return _CopiedPart(0.0, "")
        at = np.searchsorted(known, asked)
        found = known[np.minimum(at, len(known) - 1)] == asked
        # Each run that is found covers its characters: +1 where it begins, -1 behind its end.
        steps = np.zeros(len(letters) + 1, dtype=np.int64)
        steps[: len(found)] += found
        steps[length : length + len(found)] -= found
        covered = np.cumsum(steps)[:-1] > 0
        return _CopiedPart(float(covered.mean()), _longest(plain, covered))


def _from_prompt(candidate: Candidate) -> ScoreValue:
    return _value(RunIndex([candidate.prompt]).copied(candidate.answer))


COPIED_FROM_PROMPT = TextScore(
    name="copied_from_prompt",
    meaning=f"Share of the answer in runs of {RUN} characters ({CJK_RUN} in Japanese) that the prompt has.",
    higher_is_better=None,
    is_share=False,
    scoring=each(_from_prompt),
)


def copied_from_training(index: RunIndex) -> TextScore:
    """The score of how much of an answer was learned by heart, against an index of the training texts."""
    return TextScore(
        name="copied_from_training",
        meaning=f"Share of the answer in runs of {RUN} characters ({CJK_RUN} in Japanese) that training texts have.",
        higher_is_better=False,
        is_share=False,
        needs=frozenset({ScoreNeed.TRAINING_TEXTS}),
        scoring=each(lambda candidate: _value(index.copied(candidate.answer))),
    )


def _value(part: _CopiedPart) -> ScoreValue:
    return ScoreValue(value=part.share, details={"longest": part.longest} if part.longest else {})


def _plain(text: str) -> str:
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).lower().split())


def _letters(text: str) -> _Letters:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _cjk(letters: _Letters) -> NDArray[np.bool_]:
    found = np.zeros(len(letters), dtype=np.bool_)
    for first, last in _CJK:
        found |= (letters >= first) & (letters <= last)
    return found


def _has_cjk(letters: _Letters) -> bool:
    return bool(len(letters)) and int(letters.max()) >= _CJK[0][0] and bool(_cjk(letters).any())


def _is_cjk(letters: _Letters) -> bool:
    return _has_cjk(letters) and 2 * int(_cjk(letters).sum()) > len(letters)


def _runs(letters: _Letters, length: int) -> _Hashes:
    """A hash for each run of `length` letters, from the first to the last."""
    num = len(letters) - length + 1
    if num < 1:
        return np.empty(0, dtype=np.uint64)
    wide = letters.astype(np.uint64)
    hashes = np.zeros(num, dtype=np.uint64)
    for start in range(length):
        hashes = hashes * _FACTOR + wide[start : start + num]
    mixed: _Hashes = (hashes ^ (hashes >> _SHIFT)) * _MIX
    return mixed


def _folded(parts: list[_Hashes]) -> _Hashes:
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.uint64)


def _longest(plain: str, covered: NDArray[np.bool_]) -> str:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], covered, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return ""
    longest = int(np.argmax(ends - starts))
    return plain[int(starts[longest]) : int(ends[longest])]
