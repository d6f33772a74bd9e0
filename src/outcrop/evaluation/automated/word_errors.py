"""Word error rate: the insertions, deletions and changes that make one text of another, per word of the first.

Of scripts without spaces single letters are counted instead of words. Source: Levenshtein's distance over words.
"""

from collections.abc import Sequence

from outcrop.evaluation.scores.normalising import normalised, units


def word_error_rate(text: str, other: str) -> float:
    """The rate of `other` against `text`; 0 for equal texts, 1 where nothing is left, more where much was added."""
    ours, theirs = units(normalised(text)), units(normalised(other))
    if not ours:
        return float(bool(theirs))
    return distance(ours, theirs) / len(ours)


def distance(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """The least number of insertions, deletions and changes between two sequences."""
    before = list(range(len(theirs) + 1))
    for row, one in enumerate(ours, start=1):
        now = [row]
        for column, other in enumerate(theirs, start=1):
            now.append(min(before[column] + 1, now[column - 1] + 1, before[column - 1] + (one != other)))
        before = now
    return before[-1]
