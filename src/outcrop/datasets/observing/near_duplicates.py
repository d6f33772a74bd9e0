"""Records that nearly repeat another one: MinHash signatures by the library rensa, brought together by LSH.

A signature has 64 numbers of four bytes, so the first half million records of a file take 128 MiB, and no more is
ever held. What most of the first records have in common is a prompt's template, as a rule, and is not compared: else
every record of a task would be like every other.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from outcrop.datasets.observing import shingles
from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.observing.shingles import Hashes
from outcrop.datasets.report.value import NearDuplicates, NearGroup, NearOverlap

NOT_INSTALLED = "not looked for: install Outcrop with its extra `data`: pip install 'outcrop[data]'"
_LEAST_LIKENESS = 0.8
_NUMBERS = 64
_BANDS, _PER_BAND = 12, 5
"Of the numbers, by which candidates are found: of pairs that are 0.8 alike 99 % are found, of 0.4 12 %."
_MOST_RECORDS, _LEAST_RECORDS = 2**19, 2**13
_BATCH = 2**17
"Shingles that are signed in one go."
_FOR_TEMPLATE, _LEAST_FOR_TEMPLATE, _MOST_FOR_TEMPLATE = 200, 50, 2**21
"Records by which a template is known, at least; and their shingles, at most."
_MOST_SHOWN, _MOST_LINES = 1000, 100
_SEED = 7
_BEGIN = np.uint64(48)
"Bits of a hash behind its first 16."


class NearRecords:
    """The signatures of the first records of a file."""

    def __init__(self, before: Sequence["NearRecords"] = (), name: str = "") -> None:
        self._before = before
        self.name = name
        self._lines: array[int] = array("I")
        # Files share the memory, and each of very many has some of it.
        left = _MOST_RECORDS - sum(len(each._lines) for each in before)
        self._most = min(_MOST_RECORDS, max(_LEAST_RECORDS, left))
        self._seen: set[bytes] = set()
        "Digests of the records by which the template is told."
        self._waiting: list[Hashes] = []
        self._num_waiting = 0
        self._template: _Template | None = None
        self._num_shingles = self._num_compared_shingles = 0
        self._signed = bytearray()
        "One signature behind the other: it grows without a second copy."
        self._rensa: Any = _library()

    def add(self, seen: SeenRecord) -> None:
        if self._rensa is None or len(self._lines) >= self._most:
            return
        hashes = shingles.of_text(seen.text)
        self._lines.append(seen.record.line)
        self._waiting.append(hashes)
        self._num_waiting += len(hashes)
        if self._template is None:
            self._seen.add(seen.digest)
            few = len(self._seen) < _FOR_TEMPLATE and self._num_waiting < _MOST_FOR_TEMPLATE
            if few and not self._before:
                return
            self._find_template()
        if self._num_waiting >= _BATCH:
            self._sign()

    def close(self) -> None:
        """No record follows."""
        if self._template is None:
            self._find_template()
        self._sign()
        self._signatures = np.frombuffer(self._signed, np.uint32).reshape(-1, _NUMBERS)
        self._has_shingles: NDArray[np.bool_] = self._signatures.max(axis=1, initial=0) > 0

    def found(self, unique: NDArray[np.intp]) -> NearDuplicates:
        """The near duplicates among the records whose places in the file are given, which are all different."""
        rows = np.sort(unique[unique < len(self._signatures)])
        rows = rows[self._has_shingles[rows]]
        groups = self._groups(rows)
        overlap = list(self._overlap(rows))
        shared = 1 - self._num_compared_shingles / self._num_shingles if self._num_shingles else 0.0
        return NearDuplicates(
            why_not=NOT_INSTALLED if self._rensa is None else "",
            num_compared=len(self._signatures),
            template=round(shared, 4),
            num=sum(len(group) - 1 for group in groups),
            groups=tuple(self._told(group) for group in groups[:_MOST_SHOWN]),
            num_overlap=len(overlap),
            overlap=tuple(overlap[:_MOST_SHOWN]),
        )

    def _find_template(self) -> None:
        self._template = _Template(np.empty(0, dtype=np.uint64))
        if self._before:  # read before: what is compared with them is told by the template of the first
            assert self._before[0]._template is not None, "a file is closed before the next is read"
            self._template = self._before[0]._template
        elif len(self._seen) >= _LEAST_FOR_TEMPLATE:
            each = np.concatenate([np.unique(hashes) for hashes in self._waiting])
            values, times = np.unique(each, return_counts=True)
            self._template = _Template(values[times * 2 > len(self._waiting)])
        self._seen.clear()

    def _sign(self) -> None:
        if not self._waiting:
            return
        assert self._template is not None, "a template is found before anything is signed"
        kept = [self._template.without(hashes) for hashes in self._waiting]
        sizes = np.array([0, *map(len, kept)], dtype=np.uint64)
        self._num_shingles += self._num_waiting
        self._num_compared_shingles += int(sizes.sum())
        made = self._rensa.RMinHash.digest_matrix_from_flat_token_hashes(
            np.concatenate(kept), np.cumsum(sizes, dtype=np.uint64), _NUMBERS, _SEED
        )
        signed = np.array(made.to_rows(), dtype=np.uint32)
        signed[sizes[1:] == 0] = 0  # nothing is left to compare
        self._signed += signed.tobytes()
        self._waiting, self._num_waiting = [], 0

    def _groups(self, rows: NDArray[np.intp]) -> list[list[int]]:
        """Places in the file: groups of which each record is like the group's first."""
        first_of: dict[int, int] = {}
        for earlier, later in _pairs(self._signatures, rows, self._signatures, rows):
            leader = first_of.get(earlier, earlier)
            if later not in first_of and leader < later and self._likeness(leader, later) >= _LEAST_LIKENESS:
                first_of[later] = leader
        groups: dict[int, list[int]] = {}
        for later, leader in sorted(first_of.items()):
            # A record that others were led to may have been found to follow another one since.
            groups.setdefault(first_of.get(leader, leader), []).append(later)
        return [[leader, *followers] for leader, followers in sorted(groups.items())]

    def _told(self, group: list[int]) -> NearGroup:
        likeness = min(self._likeness(group[0], place) for place in group[1:])
        return NearGroup(tuple(self._lines[place] for place in group[:_MOST_LINES]), round(likeness, 3))

    def _likeness(self, one: int, other: int) -> float:
        return float((self._signatures[one] == self._signatures[other]).mean())

    def _overlap(self, rows: NDArray[np.intp]) -> Iterator[NearOverlap]:
        best: dict[int, tuple[float, int, str]] = {}
        for train in self._before:
            theirs = np.flatnonzero(train._has_shingles)
            for other, own in _pairs(train._signatures, theirs, self._signatures, rows):
                likeness = float((train._signatures[other] == self._signatures[own]).mean())
                if likeness >= _LEAST_LIKENESS and likeness > best.get(own, (0.0, 0, ""))[0]:
                    best[own] = likeness, train._lines[other], train.name
        for own, (likeness, line, name) in sorted(best.items()):
            yield NearOverlap(self._lines[own], line, round(likeness, 3), name)


class _Band(NamedTuple):
    """Rows whose numbers of one band have the same key, side by side."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.intp]


def _pairs(
    one: NDArray[np.uint32], rows: NDArray[np.intp], other: NDArray[np.uint32], others: NDArray[np.intp]
) -> Iterator[tuple[int, int]]:
    """Candidates: each row of `other` with the first row of `one` that shares a band.

    And with one more of them, since the first may share it by chance."""
    for band in range(_BANDS):
        first = _band(one, rows, band)
        second = first if one is other else _band(other, others, band)
        start = np.searchsorted(first.keys, second.keys, "left")
        end = np.searchsorted(first.keys, second.keys, "right")
        for place in np.flatnonzero(end > start):
            row = int(second.rows[place])
            leader = int(first.rows[start[place]])
            if one is not other:
                yield leader, row
                if end[place] - start[place] > 1:
                    yield int(first.rows[end[place] - 1]), row
            elif leader < row:
                yield leader, row
                if (before := int(first.rows[place - 1])) != leader:
                    yield before, row


def _band(signatures: NDArray[np.uint32], rows: NDArray[np.intp], band: int) -> _Band:
    part = signatures[rows, band * _PER_BAND : (band + 1) * _PER_BAND].astype(np.uint64)
    keys = np.zeros(len(rows), dtype=np.uint64)
    for place in range(_PER_BAND):
        keys = (keys ^ part[:, place]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, kind="stable")
    return _Band(keys[order], rows[order])


class _Template:
    """Shingles that most records have. A table of their first bits spares most others the search among them."""

    def __init__(self, values: Hashes) -> None:
        self.values = np.sort(values)
        self._begins = np.zeros(2**16, dtype=np.bool_)
        self._begins[self.values >> _BEGIN] = True

    def without(self, hashes: Hashes) -> Hashes:
        """The hashes that are not of the template."""
        may_be = np.flatnonzero(self._begins[hashes >> _BEGIN])
        if not len(may_be):
            return hashes
        place = np.minimum(np.searchsorted(self.values, hashes[may_be]), len(self.values) - 1)
        left = np.ones(len(hashes), dtype=np.bool_)
        left[may_be[self.values[place] == hashes[may_be]]] = False
        return hashes[left]


def _library() -> Any:
    try:
        import rensa
    except ModuleNotFoundError:
        return None
    return rensa
