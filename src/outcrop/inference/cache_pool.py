"""Pools of cache rows: the remembered keys and values of sequences of like length, a row each.

A pool is one tensor per layer whose first rows are the live sequences, without gaps, so that all of them decode in one
attention call over a view, without gathering. When a sequence leaves, the pool's last row moves into its place.

Shapes: R rows of a pool, S positions, K key/value heads, D head width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy
import torch
from torch import Tensor


class LayerShape(NamedTuple):
    """The keys and values that one layer remembers per position."""

    num_heads: int
    key_width: int
    value_width: int


@dataclass(kw_only=True, eq=False)
class CacheRow:
    """The place of one sequence in the cache: one row of a pool.

    The row changes when another sequence leaves the pool, and the pool when the sequence outgrows it.
    """

    shelf: "CachePool"
    row: int
    length: int = 0
    "Positions written so far."


class CachePool:
    """A pool of cache rows of one length; live sequences always fill the first ones."""

    def __init__(self, row_length: int, layers: Sequence[LayerShape], like: Tensor) -> None:
        self.row_length = row_length
        self.slots: list[CacheRow] = []
        self.num_rows = 0
        self.k_RSKD = [like.new_zeros(0, row_length, s.num_heads, s.key_width) for s in layers]
        self.v_RSKD = [like.new_zeros(0, row_length, s.num_heads, s.value_width) for s in layers]

    @property
    def num_positions(self) -> int:
        """Positions of all rows, used or not."""
        return self.num_rows * self.row_length

    @property
    def num_live_positions(self) -> int:
        """Positions of the rows that sequences have."""
        return len(self.slots) * self.row_length

    def resize(self, num_rows: int) -> None:
        """Make room for `num_rows` sequences, keeping the live ones; layer by layer, so the peak stays low."""
        live = len(self.slots)
        assert live <= num_rows, "live sequences must keep their rows"
        if num_rows == self.num_rows:
            return
        longest = max((slot.length for slot in self.slots), default=0)
        for stored in (self.k_RSKD, self.v_RSKD):
            for layer, old in enumerate(stored):
                stored[layer] = _zeros(old, num_rows, *old.shape[1:])
                stored[layer][:live, :longest] = old[:live, :longest]
        self.num_rows = num_rows

    def take(self) -> CacheRow:
        slot = CacheRow(shelf=self, row=len(self.slots))
        self.slots.append(slot)
        return slot

    def give_back(self, slot: CacheRow) -> None:
        last = self.slots.pop()
        if last is slot:
            return
        for stored in (self.k_RSKD, self.v_RSKD):
            for x_RSKD in stored:
                x_RSKD[slot.row, : last.length] = x_RSKD[last.row, : last.length]
        last.row = slot.row
        self.slots[last.row] = last

    def receive(self, slot: CacheRow) -> None:
        """Take over a sequence of another pool, with what it remembers; its old row is free then."""
        place = self.take()
        copy_beginning(slot, place, slot.length)
        slot.shelf.give_back(slot)
        slot.shelf, slot.row = self, place.row
        self.slots[slot.row] = slot


def _zeros(like: Tensor, *shape: int) -> Tensor:
    """Rows that nothing was written to. Zeros, not empty: a masked position counts as 0 · value, and 0 · NaN is NaN.

    On a CPU by numpy, whose zeros are pages that the system gives when they are written; torch writes its own at once.
    So what a row never uses takes no memory.
    """
    num_bytes = math.prod(shape) * like.element_size()
    if like.device.type != "cpu" or not num_bytes:
        return like.new_zeros(shape)
    return torch.from_numpy(numpy.zeros(num_bytes, numpy.uint8)).view(like.dtype).view(shape)


def copy_beginning(source: CacheRow, slot: CacheRow, num_tokens: int) -> None:
    """Copy the first positions that one row remembers to another, which remembers nothing else then."""
    assert source.length >= num_tokens <= slot.shelf.row_length, "only what is written, to where there is room"
    for theirs, ours in ((source.shelf.k_RSKD, slot.shelf.k_RSKD), (source.shelf.v_RSKD, slot.shelf.v_RSKD)):
        for from_RSKD, to_RSKD in zip(theirs, ours, strict=True):
            to_RSKD[slot.row, :num_tokens] = from_RSKD[source.row, :num_tokens]
    slot.length = num_tokens
