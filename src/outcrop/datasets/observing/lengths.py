"""Lengths of records in tokens, eight bytes each: their median, the longest, and a histogram."""

from array import array

import numpy as np

from outcrop.datasets.report.value import Bin, Longest

_MOST_BINS = 40
_NICE = (1, 2, 5)


class RecordLengths:
    """The lengths of a file's records, in the order of the file."""

    def __init__(self) -> None:
        self.tokens = array("I")
        self.sequences = array("I")
        "Of which a text may be several."
        self._longest: Longest | None = None

    def add(self, line: int, num_tokens: int, sequences: list[int]) -> None:
        self.tokens.append(num_tokens)
        self.sequences.extend(sequences)
        if self._longest is None or num_tokens > self._longest.tokens:
            self._longest = Longest(line, num_tokens)

    @property
    def longest(self) -> Longest | None:
        return self._longest

    @property
    def median(self) -> int:
        return round(float(np.median(np.asarray(self.tokens)))) if self.tokens else 0

    def histogram(self) -> tuple[Bin, ...]:
        """Bars of one round width from the shortest to the longest record, those of no record too."""
        if not self.tokens:
            return ()
        lengths = np.asarray(self.tokens)
        width = _width(int(lengths.min()), int(lengths.max()))
        first = int(lengths.min()) // width
        counts = np.bincount(lengths // width - first)
        return tuple(
            Bin((first + place) * width, (first + place + 1) * width - 1, int(num)) for place, num in enumerate(counts)
        )


def _width(least: int, most: int) -> int:
    """The narrowest round width that needs no more bars than are told apart."""
    power = 1
    while True:
        for nice in _NICE:
            if most // (nice * power) - least // (nice * power) < _MOST_BINS:
                return nice * power
        power *= 10
