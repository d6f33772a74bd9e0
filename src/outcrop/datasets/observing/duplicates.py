"""Records that say exactly the same, in one file or in two."""

import numpy as np
from numpy.typing import NDArray

from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.repeated import Digests
from outcrop.datasets.report.value import Overlap

_MOST_SHOWN, _MOST_LINES = 1000, 100


class Duplicates:
    """The digests of a file's records, with their lines: 24 bytes a record."""

    def __init__(self) -> None:
        self._digests = Digests()

    def add(self, seen: SeenRecord) -> None:
        self._digests.add(seen.digest, seen.record.line)

    def groups(self) -> tuple[int, tuple[tuple[int, ...], ...]]:
        """How many groups of equal records there are, and the lines of the first of them."""
        repeated = self._digests.repeated()
        return len(repeated), tuple(lines[:_MOST_LINES] for lines in repeated[:_MOST_SHOWN])

    def overlap(self, train: "Duplicates") -> tuple[int, tuple[Overlap, ...]]:
        """How many of these records stand in the training file too, and the first of them."""
        pairs = self._digests.shared_with(train._digests)
        return len(pairs), tuple(Overlap(*pair) for pair in pairs[:_MOST_SHOWN])

    def new_to(self, train: "Duplicates | None") -> NDArray[np.intp]:
        """The places of records that equal none before them, nor one of the training file."""
        return self._digests.new_places(None if train is None else train._digests)
