"""Remembered keys and values of every live sequence.

Sequences of like reserved length share a *shelf*: one tensor per layer whose first rows are the live sequences, without
gaps, so that all of them decode in one attention call over a view, without gathering. When a sequence leaves, the
shelf's last row moves into its place. A sequence reserves room for its whole life when it is admitted, so nothing that
runs is ever thrown out again.

Shapes: R rows of a shelf, S positions, K key/value heads, H query heads, T tokens, D head width.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from outcrop.errors import Invalid
from outcrop.network import facts
from outcrop.network.attention import Scoring, SequenceSpan, attend_causal
from outcrop.network.run_mode import RunMode

# Rows have few different lengths, so that most sequences share a shelf; what a row reserves and never uses stays
# untouched memory on a CPU.
SHORTEST_ROW = 256
_LONGER = 4
_ROWS_OF_NOTHING = 64


class LayerShape(NamedTuple):
    """The keys and values that one layer remembers per position."""

    num_heads: int
    key_width: int
    value_width: int


@dataclass(kw_only=True, eq=False)
class CacheRow:
    """The place of one sequence in the cache: one row of a pool.

    The row changes when another sequence leaves the pool.
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
        # Zeros, not empty: a masked position still counts as 0 · value, and 0 · NaN is NaN.
        self.k_RSKD = [like.new_zeros(0, row_length, s.num_heads, s.key_width) for s in layers]
        self.v_RSKD = [like.new_zeros(0, row_length, s.num_heads, s.value_width) for s in layers]

    def resize(self, num_rows: int) -> None:
        """Make room for `num_rows` sequences, keeping the live ones; layer by layer, so the peak stays low."""
        live = len(self.slots)
        assert live <= num_rows, "live sequences must keep their rows"
        for stored in (self.k_RSKD, self.v_RSKD):
            for layer, old in enumerate(stored):
                stored[layer] = old.new_zeros(num_rows, *old.shape[1:])
                stored[layer][:live] = old[:live]
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


class KVCache:
    """All shelves, within one limit of memory."""

    def __init__(
        self,
        layers: Sequence[LayerShape],
        *,
        like: Tensor,
        context_length: int,
        max_bytes: int,
        position_bytes: int | None = None,
    ) -> None:
        """`position_bytes` is what a position takes elsewhere, where the shelves themselves hold nothing."""
        self._layers = layers
        self._like = like
        self._context_length = context_length
        self._max_bytes = max_bytes
        self._shelves: dict[int, CachePool] = {}
        per_position = sum(s.num_heads * (s.key_width + s.value_width) for s in layers)
        self._position_bytes = per_position * like.element_size() if position_bytes is None else position_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes of all rows of the cache, used or not."""
        return self._position_bytes * sum(s.num_rows * s.row_length for s in self._shelves.values())

    def could_hold(self, num_tokens: int) -> bool:
        """Whether a sequence of this many tokens fits into the empty cache."""
        return num_tokens <= self._context_length and self._row_bytes(num_tokens) <= self._max_bytes

    def take(self, num_tokens: int) -> CacheRow | None:
        """A place for a sequence that will grow to `num_tokens`; None while there is no room."""
        row_length = self._row_length(num_tokens)
        shelf = self._shelves.get(row_length)
        if shelf is None:
            shelf = self._shelves[row_length] = CachePool(row_length, self._layers, self._like)
        if len(shelf.slots) == shelf.num_rows and not self._grow(shelf):
            return None
        return shelf.take()

    def give_back(self, slot: CacheRow) -> None:
        slot.shelf.give_back(slot)

    def _grow(self, shelf: CachePool) -> bool:
        row_bytes = self._position_bytes * shelf.row_length
        if self._max_bytes - self.size_bytes < row_bytes:
            self._drop_unused_rows()
        num_free = (self._max_bytes - self.size_bytes) // row_bytes if row_bytes else _ROWS_OF_NOTHING
        if num_free < 1:
            return False
        shelf.resize(shelf.num_rows + min(num_free, max(1, shelf.num_rows)))  # doubling: few copies while it fills
        return True

    def _drop_unused_rows(self) -> None:
        for shelf in self._shelves.values():
            if shelf.num_rows > len(shelf.slots):
                shelf.resize(len(shelf.slots))

    def _row_length(self, num_tokens: int) -> int:
        row_length = SHORTEST_ROW
        while row_length < num_tokens:
            row_length *= _LONGER
        return min(row_length, max(num_tokens, self._context_length))

    def _row_bytes(self, num_tokens: int) -> int:
        return self._position_bytes * self._row_length(num_tokens)


class _Measuring:
    """A layout that remembers nothing but what there would be to remember."""

    def __init__(self) -> None:
        self.layers: dict[int, LayerShape] = {}
        self.scorings: dict[int, Scoring] = {}
        self.like = torch.empty(0)

    def sequences(self) -> Sequence[SequenceSpan]:
        return [SequenceSpan(0, 1, 1)]

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        self.layers[layer] = LayerShape(k_KTD.shape[0], k_KTD.shape[2], v_KTD.shape[2])
        self.scorings[layer] = scoring
        self.like = k_KTD.new_empty(0)
        return attend_causal(q_HTD, k_KTD, v_KTD, scoring)


def _demand_attention(network: nn.Module, layers: Collection[int]) -> None:
    """Raises Invalid for a network some of whose layers do not go through our attention, and would mix sequences."""
    depth, num = facts.of_config(network.config).layers, len(layers)
    if num < depth or sorted(layers) != list(range(num)):
        raise Invalid(
            f"{type(network).__name__}: {num} of its {depth} layers attend as packed sequences need it; the others "
            f"would mix them. It can be run {RunMode.ONE_RECORD_A_ROW}: `outcrop register` its folder anew."
        )


class CacheShape(NamedTuple):
    """The sizes that a network's layers need of a cache."""

    layers: list[LayerShape]
    scorings: list[Scoring]
    like: Tensor
    "An empty tensor of the kind that is remembered."

    @property
    def windows(self) -> list[int | None]:
        return [scoring.window for scoring in self.scorings]


def measure(network: nn.Module) -> CacheShape:
    """Found by running one token.

    Configurations name these widths differently in every architecture; the tensors themselves do not lie.
    """
    layout: Any = _Measuring()
    ids_11 = torch.zeros(1, 1, dtype=torch.long, device=next(network.parameters()).device)
    with torch.inference_mode():
        network(input_ids=ids_11, position_ids=ids_11, layout=layout, use_cache=False)
    _demand_attention(network, layout.layers)
    numbers = range(len(layout.layers))
    return CacheShape([layout.layers[n] for n in numbers], [layout.scorings[n] for n in numbers], layout.like)
