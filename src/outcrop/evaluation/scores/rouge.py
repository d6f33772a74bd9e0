"""ROUGE-1, ROUGE-2 and ROUGE-L of an answer: the n-grams or the subsequence of words it shares with a reference.

English gives the values of the package rouge-score without its stemmer. Of several references the best counts.
Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", sections 2 and 3.1.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from outcrop.evaluation.scores.scoring import ScoreNeed, ScoreValue, TextScore, best_reference
from outcrop.evaluation.scores.subsequences import common_length
from outcrop.evaluation.scores.words import CutUnit, cut, unit_of

_Overlap = Callable[[Sequence[CutUnit], Sequence[CutUnit]], tuple[int, int, int]]
"Of an answer's and a reference's words: what they share, and how much each of them has."


def rouge(order: str, unit: str = "") -> TextScore:
    """The score ROUGE-1, ROUGE-2 or ROUGE-L; `order` is 1, 2 or l.

    `unit`, words or characters, is how Japanese is cut; empty for words where MeCab is installed, else characters.
    """
    overlap, japanese = _OVERLAPS[order], unit_of(unit)

    def of(answer: str, reference: str) -> ScoreValue:
        ours, theirs, told = cut(answer, reference, japanese)
        common, num_ours, num_theirs = overlap(ours, theirs)
        return ScoreValue(
            value=2 * common / (num_ours + num_theirs) if common else 0.0,
            details={
                "unit": told,
                "precision": common / num_ours if num_ours else 0.0,
                "recall": common / num_theirs if num_theirs else 0.0,
            },
        )

    return TextScore(
        name=f"rouge_{order}" + (f":{unit}" if unit else ""),
        meaning=_MEANINGS[order],
        higher_is_better=True,
        is_share=False,
        needs=frozenset({ScoreNeed.REFERENCE}),
        scoring=best_reference(of),
    )


def _subsequence(ours: Sequence[CutUnit], theirs: Sequence[CutUnit]) -> tuple[int, int, int]:
    return common_length(ours, theirs), len(ours), len(theirs)


def _ngrams(length: int) -> _Overlap:
    def overlap(ours: Sequence[CutUnit], theirs: Sequence[CutUnit]) -> tuple[int, int, int]:
        of_ours, of_theirs = _counted(ours, length), _counted(theirs, length)
        return (of_ours & of_theirs).total(), of_ours.total(), of_theirs.total()

    return overlap


def _counted(words: Sequence[CutUnit], length: int) -> Counter[tuple[CutUnit, ...]]:
    return Counter(zip(*(words[start:] for start in range(length)), strict=False))


_OVERLAPS: dict[str, _Overlap] = {"1": _ngrams(1), "2": _ngrams(2), "l": _subsequence}
_MEANINGS = {
    "1": "ROUGE-1: F1 of the words that answer and reference share.",
    "2": "ROUGE-2: F1 of the pairs of words that answer and reference share.",
    "l": "ROUGE-L: F1 of the longest subsequence of words that answer and reference share.",
}
