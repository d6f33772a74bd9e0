"""Records that say exactly the same, in one file or in several."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.repeated import Digests
from outcrop.datasets.report.value import Overlap

_MOST_SHOWN, _MOST_LINES = 1000, 100


class Duplicates:
    """The digests of a file's records, with their lines: 24 bytes a record."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._digests = Digests()

    def add(self, seen: SeenRecord) -> None:
        self._digests.add(seen.digest, seen.record.line)

    def groups(self) -> tuple[int, tuple[tuple[int, ...], ...]]:
        """How many groups of equal records there are, and the lines of the first of them."""
        repeated = self._digests.repeated()
        return len(repeated), tuple(lines[:_MOST_LINES] for lines in repeated[:_MOST_SHOWN])

    def overlap(self, before: Sequence["Duplicates"]) -> tuple[int, tuple[Overlap, ...]]:
        """How many of these records stand in files before this one too, and the first of them."""
        found: dict[int, Overlap] = {}
        for other in before:
            for line, there in self._digests.shared_with(other._digests):
                found.setdefault(line, Overlap(line, there, other.name))
        return len(found), tuple(sorted(found.values())[:_MOST_SHOWN])

    def new_to(self, before: Sequence["Duplicates"]) -> NDArray[np.intp]:
        """The places of records that equal none before them, nor one of the files before."""
        return self._digests.new_places([other._digests for other in before])
