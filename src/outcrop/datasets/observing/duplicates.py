"""Records that say exactly the same, found by a digest of 16 bytes kept of each."""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.report.value import Overlap

_MOST_SHOWN, _MOST_LINES = 1000, 100
_DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])


class Duplicates:
    """The digests of a file's records, with their lines: 20 bytes a record."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._digests = bytearray()
        self._lines = array("I")

    def add(self, seen: SeenRecord) -> None:
        self._digests += seen.digest
        self._lines.append(seen.record.line)

    def close(self) -> None:
        """No record follows: those that are equal are brought together."""
        digests = np.frombuffer(self._digests, dtype=_DIGEST)
        _, self.first, copies = np.unique(digests, return_index=True, return_inverse=True)
        self._unique = digests[self.first]
        self._copies: NDArray[np.intp] = copies.reshape(-1)

    def groups(self) -> tuple[int, tuple[tuple[int, ...], ...]]:
        """How many groups of equal records there are, and the lines of the first of them."""
        times = np.bincount(self._copies, minlength=len(self._unique))
        repeated = np.flatnonzero(times > 1)
        # In the order in which each is first said again.
        chosen = repeated[np.argsort(self.first[repeated])][:_MOST_SHOWN]
        place = {int(group): number for number, group in enumerate(chosen)}
        lines: list[list[int]] = [[] for _ in chosen]
        for record in np.flatnonzero(np.isin(self._copies, chosen)):
            group = lines[place[int(self._copies[record])]]
            if len(group) < _MOST_LINES:
                group.append(self._lines[int(record)])
        return len(repeated), tuple(map(tuple, lines))

    def overlap(self, before: Sequence["Duplicates"]) -> tuple[int, tuple[Overlap, ...]]:
        """How many of these records stand in files before this one too, and the first of them."""
        is_new, found = np.ones(len(self._unique), dtype=bool), []
        for other in before:
            _, mine, theirs = np.intersect1d(self._unique, other._unique, assume_unique=True, return_indices=True)
            first_found = is_new[mine]
            is_new[mine] = False
            pairs = sorted(
                (self._lines[int(self.first[own])], other._lines[int(other.first[place])])
                for own, place in zip(mine[first_found], theirs[first_found], strict=True)
            )
            found += [Overlap(*pair, other.name) for pair in pairs[:_MOST_SHOWN]]
        return int((~is_new).sum()), tuple(sorted(found)[:_MOST_SHOWN])

    def new_to(self, before: Sequence["Duplicates"]) -> NDArray[np.intp]:
        """The places of records that equal none before them, nor one of the files before."""
        is_new = np.ones(len(self._unique), dtype=bool)
        for other in before:
            is_new &= ~np.isin(self._unique, other._unique, assume_unique=True)
        return self.first[is_new]
