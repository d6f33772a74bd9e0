"""Columns of metadata in memory: for a key that filters name, which of its values each vector has.

A clause judges each different value once, and the verdicts are looked up for all vectors together.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from outcrop.vectors.filters import ClauseGroup, KeyClause, MetadataClause
from outcrop.vectors.index_file import VectorSnapshot

_MISSING = 0
"The number of the value that a vector without the key has."


class MetadataColumn:
    """The values of one key, by the number of each different one."""

    def __init__(self, size: int) -> None:
        self.codes_n: NDArray[np.int32] = np.zeros(size, dtype=np.int32)
        self._values: list[Any] = [None]
        self._code_of: dict[Any, int] = {None: _MISSING}

    @property
    def num_values(self) -> int:
        return len(self._values)

    def put(self, slot: int, value: Any) -> None:
        self.codes_n[slot] = self._code(value)

    def reserve(self, size: int) -> None:
        grown_n = np.zeros(size, dtype=np.int32)
        grown_n[: len(self.codes_n)] = self.codes_n
        self.codes_n = grown_n

    def accepted(self, clause: KeyClause, count: int) -> NDArray[np.bool_]:
        """A mask of the first `count` vectors: whether the clause keeps each."""
        verdicts = np.fromiter((clause.accepts(value) for value in self._values), dtype=bool, count=len(self._values))
        return verdicts[self.codes_n[:count]]

    def _code(self, value: Any) -> int:
        told_apart = _told_apart(value)
        code = self._code_of.get(told_apart)
        if code is None:
            code = self._code_of[told_apart] = len(self._values)
            self._values.append(value)
        return code


class MetadataColumns:
    """The columns of one index. A column is made when a filter first names its key, and follows from then on."""

    def __init__(self) -> None:
        self._columns: dict[str, MetadataColumn] = {}
        self._size = 0

    def reserve(self, size: int) -> None:
        self._size = size
        for column in self._columns.values():
            column.reserve(size)

    def put(self, metadata: Iterable[tuple[int, str]]) -> None:
        """Metadata as JSON by slot."""
        if self._columns:
            _fill(self._columns, metadata)
            # Values that no vector has any more stay in a column: one that is mostly such is made anew when needed.
            self._columns = {
                key: each for key, each in self._columns.items() if each.num_values < 2 * self._size + 1024
            }

    def move(self, slot: int, to: int) -> None:
        """The vector in one slot is in another from now on, and the first is free."""
        for column in self._columns.values():
            column.codes_n[to] = column.codes_n[slot]
            column.codes_n[slot] = _MISSING

    def kept(self, clause: MetadataClause, snapshot: VectorSnapshot, slots: Mapping[int, int]) -> NDArray[np.bool_]:
        """A mask of the vectors that the filter keeps, by slot. `snapshot` is of the state that the columns have."""
        new = {key: MetadataColumn(self._size) for key in clause.named_keys() if key not in self._columns}
        if new:
            for rows in snapshot.metadata_of_all():
                _fill(new, ((slots[vector_id], metadata) for vector_id, metadata in rows))
            self._columns |= new
        return self._judged(clause, len(slots))

    def _judged(self, clause: MetadataClause, count: int) -> NDArray[np.bool_]:
        if isinstance(clause, KeyClause):
            return self._columns[clause.key].accepted(clause, count)
        assert isinstance(clause, ClauseGroup), "there are clauses of keys and groups of them"
        kept_n = np.full(count, clause.needs_all)
        for part in clause.clauses:
            judged_n = self._judged(part, count)
            kept_n = kept_n & judged_n if clause.needs_all else kept_n | judged_n
        return kept_n


def _fill(columns: Mapping[str, MetadataColumn], metadata: Iterable[tuple[int, str]]) -> None:
    for slot, text in metadata:
        values: dict[str, Any] = orjson.loads(text) if text else {}
        for key, column in columns.items():
            column.put(slot, values.get(key))


def _told_apart(value: Any) -> Any:
    """A key of a dictionary that is equal for values that no clause tells apart; true is not 1."""
    if isinstance(value, list):
        return tuple(map(_told_apart, value))
    return (bool, value) if isinstance(value, bool) else value
