"""Records that say the same, found by their digests once all are read: 24 bytes a record, whatever its length."""

from array import array
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from outcrop.datasets.records import DIGEST_BYTES

_DIGEST = np.dtype(f"S{DIGEST_BYTES}")
"All of one length, so that the zero bytes which numpy drops at an end tell no two of them apart."


class Digests:
    """The digest and line of every record of a file."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._lines = array("q")

    def add(self, digest: bytes, line: int) -> None:
        assert len(digest) == DIGEST_BYTES
        self._digests += digest
        self._lines.append(line)

    def repeated(self) -> tuple[tuple[int, ...], ...]:
        """Lines that say exactly the same, group by group, in the order in which they are first repeated."""
        digests, lines = self._sorted()
        equal = np.concatenate([[False], digests[1:] == digests[:-1], [False]])
        starts = np.flatnonzero(~equal[:-1] & equal[1:])
        stops = np.flatnonzero(equal[:-1] & ~equal[1:]) + 1
        groups = [tuple(lines[start:stop].tolist()) for start, stop in zip(starts, stops, strict=True)]
        return tuple(sorted(groups, key=lambda group: group[1]))

    def shared_with(self, other: "Digests") -> list[tuple[int, int]]:
        """The first line here and the first line there of each record that stands in both files."""
        here, there = self._sorted(), other._sorted()
        both = np.intersect1d(here.digests, there.digests)
        return sorted(zip(here.first_lines(both), there.first_lines(both), strict=True))

    def _sorted(self) -> "_Sorted":
        digests, lines = np.frombuffer(bytes(self._digests), dtype=_DIGEST), np.array(self._lines)
        order = np.argsort(digests, kind="stable")
        return _Sorted(digests[order], lines[order])


class _Sorted(NamedTuple):
    """Records in the order of their digests, those of one digest in the order of the file."""

    digests: npt.NDArray[np.bytes_]
    lines: npt.NDArray[np.int64]

    def first_lines(self, digests: npt.NDArray[np.bytes_]) -> list[int]:
        found: list[int] = self.lines[np.searchsorted(self.digests, digests)].tolist()
        return found
