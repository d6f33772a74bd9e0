"""Remembered keys and values of every live sequence, and of beginnings that others may share.

A sequence has a row in a pool of rows of one length, and moves to a pool of twice the length when it outgrows it: so it
never holds more than twice what it needs, whatever its request may still ask for, and attention runs over whole rows.
Where there is no room to grow, `grow` and `take` say so, and the scheduler decides who gives way. Sequences of the
background have pools of their own, since those of a step must be the first rows of theirs.

Beside the rows lie kept beginnings (`prefix_cache.py`), in memory that no row needs.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from outcrop.errors import Invalid
from outcrop.inference.cache_pool import CachePool, CacheRow, LayerShape, copy_beginning
from outcrop.inference.prefix_cache import PrefixCache, PrefixSpace
from outcrop.network import facts
from outcrop.network.attention import Scoring, SequenceSpan, attend_causal
from outcrop.network.run_mode import RunMode

SHORTEST_ROW = 256
_ROWS_OF_NOTHING = 64
_KEPT_SHARE = 4
"A quarter of the limit at most is kept for others to share: who shares out the machine's memory counts it as in use."
_UNUSED_SHARE = 8
"Unused rows that take more than an eighth of the limit are given back once few of their pool are used."


class KVCache:
    """All pools and kept beginnings, within one limit of memory."""

    def __init__(
        self,
        layers: Sequence[LayerShape],
        *,
        like: Tensor,
        context_length: int,
        max_bytes: int,
        position_bytes: int | None = None,
    ) -> None:
        """`position_bytes` is what a position takes elsewhere, where the pools themselves hold nothing."""
        self._layers = layers
        self._like = like
        self._max_bytes = max_bytes
        self._pools: dict[tuple[int, bool], CachePool] = {}
        per_position = sum(s.num_heads * (s.key_width + s.value_width) for s in layers)
        self._position_bytes = per_position * like.element_size() if position_bytes is None else position_bytes
        self._context_length = context_length
        self._kept = PrefixCache(layers, like=like, position_bytes=self._position_bytes)

    @property
    def shares(self) -> bool:
        """Whether beginnings can be copied: not where networks keep what they remember themselves."""
        return bool(self._layers)

    @property
    def size_bytes(self) -> int:
        """Bytes of all rows of the cache, used or not, and of what is kept for others."""
        return self._row_bytes + self._kept.size_bytes

    @property
    def kept_bytes(self) -> int:
        """Bytes of the beginnings that are kept after their requests have ended."""
        return self._kept.size_bytes

    @property
    def live_bytes(self) -> int:
        """Bytes of the rows that sequences have."""
        return self._position_bytes * sum(pool.num_live_positions for pool in self._pools.values())

    def could_hold(self, num_tokens: int) -> bool:
        """Whether a sequence of this many tokens fits into the empty cache."""
        return num_tokens <= self._context_length and self._position_bytes * num_tokens <= self._max_bytes

    def take(self, num_tokens: int, *, background: bool = False) -> CacheRow | None:
        """A place for a sequence of so many tokens; None while there is no room."""
        pool = self._pool(num_tokens, background)
        if len(pool.slots) == pool.num_rows and not self._extend(pool, spared=0):
            return None
        return pool.take()

    def grow(self, slot: CacheRow, num_tokens: int, *, background: bool = False) -> bool:
        """Room for so many tokens of a sequence that has a place; False while there is none, and nothing changes."""
        old = slot.shelf
        if num_tokens <= old.row_length:
            return True
        pool = self._pool(num_tokens, background)
        # For a moment both rows are there: the old one, which is given up, may lie beyond the limit.
        if len(pool.slots) == pool.num_rows and not self._extend(pool, spared=old.row_length):
            return False
        pool.receive(slot)
        if self.size_bytes > self._max_bytes:
            old.resize(len(old.slots))
        return True

    def give_back(self, slot: CacheRow) -> None:
        pool = slot.shelf
        pool.give_back(slot)
        unused = pool.num_positions - pool.num_live_positions
        if self._position_bytes * unused * _UNUSED_SHARE > self._max_bytes and pool.num_rows > 4 * len(pool.slots):
            pool.resize(2 * len(pool.slots))

    def copy(self, source: CacheRow, slot: CacheRow, num_tokens: int) -> None:
        """Have a row remember the first tokens that another remembers."""
        copy_beginning(source, slot, num_tokens)

    def num_kept(self, space: PrefixSpace, ids: Sequence[int]) -> int:
        """How many of the ids a row could have from kept beginnings."""
        return self._kept.num_tokens(space, ids)

    def recall(self, slot: CacheRow, space: PrefixSpace, ids: Sequence[int]) -> None:
        """Have a row remember the longest kept beginning of these ids."""
        self._kept.recall(space, ids, slot)

    def keep(self, slot: CacheRow, space: PrefixSpace, ids: Sequence[int]) -> None:
        """Keep what a row remembers of these ids, as far as there is memory that nothing else needs."""
        if self.shares:
            most = min(self._max_bytes // _KEPT_SHARE, self._max_bytes - self._row_bytes)
            self._kept.keep(space, ids[: slot.length], slot, most_bytes=most)

    def forget(self, adapter: str) -> None:
        """Keep nothing any more that was computed with this version of an adapter."""
        self._kept.forget(adapter)

    @property
    def _row_bytes(self) -> int:
        return self._position_bytes * sum(pool.num_positions for pool in self._pools.values())

    def _pool(self, num_tokens: int, background: bool) -> CachePool:
        row_length = self._row_length(num_tokens)
        if (row_length, background) not in self._pools:
            self._pools[row_length, background] = CachePool(row_length, self._layers, self._like)
        return self._pools[row_length, background]

    def _row_length(self, num_tokens: int) -> int:
        row_length = SHORTEST_ROW
        while row_length < num_tokens:
            row_length *= 2
        most = self._context_length
        if self._position_bytes:
            most = min(most, self._max_bytes // self._position_bytes)
        return min(row_length, max(num_tokens, most))

    def _extend(self, pool: CachePool, *, spared: int) -> bool:
        """Add rows to a pool that has no free one. `spared`: positions that will be given up for it."""
        row_bytes = self._position_bytes * pool.row_length
        if not self._make_room(row_bytes - self._position_bytes * spared):
            return False
        free = self._max_bytes - self.size_bytes
        num_free = max(1, free // row_bytes) if row_bytes else _ROWS_OF_NOTHING
        pool.resize(pool.num_rows + min(num_free, max(1, pool.num_rows)))  # doubling: few copies while it fills
        return True

    def _make_room(self, num_bytes: int) -> bool:
        """Have so many bytes free, letting go of what nobody uses; False where that is not enough.

        The cheapest goes first: pools without a sequence, kept beginnings, and only then unused rows, since a pool
        that loses rows copies those of its sequences.
        """
        if num_bytes > self._max_bytes - self.live_bytes:
            return False
        pools = sorted(self._pools.values(), key=lambda pool: pool.num_live_positions)
        for pool in pools:
            if not pool.slots and self._max_bytes - self.size_bytes < num_bytes:
                pool.resize(0)
        self._kept.shrink(self._max_bytes - self._row_bytes - num_bytes)
        for pool in pools:
            if self._max_bytes - self.size_bytes < num_bytes:
                pool.resize(len(pool.slots))
        return True


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
