"""Kept beginnings: keys and values of prompts and answers that were read, for requests that begin in the same way.

They are kept in blocks of BLOCK positions. A block is found by the block before it and by its own tokens, so equal
beginnings are kept once, however many requests had them. Whoever begins so copies the blocks into its own row: a copy
costs about a hundredth of reading, and decoding goes on over whole rows. The least recently used block goes first.

What is shared is equal number for number, so only what was computed alike is: with the same version of the same adapter
and the same rotary angles. Adapters never share with each other or with their base: from the second layer on, keys and
values come from hidden states that the adapter's first layer has changed, whichever matrices it adapts.

Shapes: B positions of a block, K key/value heads, D head width.
"""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from outcrop.inference.cache_pool import CacheRow, LayerShape

BLOCK = 32


class PrefixSpace(NamedTuple):
    """Everything but the tokens that keys and values depend on, and whom they are for."""

    adapter: str | None
    "The version of an adapter, as the engine names it; None is the base alone."
    angles: tuple[int, ...]
    "What rotary positions were computed for; see `RotaryRules.alike`."
    salt: str | None
    "Requests share with those of the same salt only."


BlockKey: TypeAlias = "tuple[PrefixSpace | CachedBlock, tuple[int, ...]]"


@dataclass(kw_only=True, eq=False)
class CachedBlock:
    """The keys and values of BLOCK positions in all layers, and the beginning they belong to."""

    key: BlockKey
    "The block before it, or the space of a first one, and its own tokens."
    space: PrefixSpace
    k_BKD: list[Tensor]
    v_BKD: list[Tensor]


class PrefixCache:
    """The blocks of all kept beginnings, the least recently used first, and each before the block it follows."""

    def __init__(self, layers: Sequence[LayerShape], *, like: Tensor, position_bytes: int) -> None:
        self._blocks: OrderedDict[BlockKey, CachedBlock] = OrderedDict()
        self._like = like
        self._block_bytes = BLOCK * position_bytes
        self._k_shapes = [(BLOCK, shape.num_heads, shape.key_width) for shape in layers]
        self._v_shapes = [(BLOCK, shape.num_heads, shape.value_width) for shape in layers]

    @property
    def size_bytes(self) -> int:
        return len(self._blocks) * self._block_bytes

    def num_tokens(self, space: PrefixSpace, ids: Sequence[int]) -> int:
        """The number of tokens of `ids`, from the first on, that `recall` would bring."""
        return len(self._find(space, ids)) * BLOCK

    def recall(self, space: PrefixSpace, ids: Sequence[int], slot: CacheRow) -> None:
        """Copy the longest kept beginning of `ids` into a row, which remembers nothing else then."""
        chain = self._find(space, ids)
        num_tokens = len(chain) * BLOCK
        for layer in range(len(self._k_shapes) if chain else 0):
            for x_RSKD, kept in (
                (slot.shelf.k_RSKD[layer], [block.k_BKD[layer] for block in chain]),
                (slot.shelf.v_RSKD[layer], [block.v_BKD[layer] for block in chain]),
            ):
                torch.cat(kept, out=x_RSKD[slot.row, :num_tokens])
        slot.length = num_tokens
        self._use(chain)

    def keep(self, space: PrefixSpace, ids: Sequence[int], slot: CacheRow, *, most_bytes: int) -> None:
        """Keep what a row remembers of `ids`, as far as all blocks together stay within `most_bytes`."""
        chain = self._find(space, ids)
        self._use(chain)
        num_blocks = min(len(ids) // BLOCK, most_bytes // self._block_bytes)
        # Never one of its own chain, which was used last and fits.
        self.shrink(most_bytes - max(0, num_blocks - len(chain)) * self._block_bytes)
        for number in range(len(chain), num_blocks):
            start, end = number * BLOCK, (number + 1) * BLOCK
            block = self._read(slot, start, (chain[-1] if chain else space, tuple(ids[start:end])), space)
            self._blocks[block.key] = block
            chain.append(block)
        self._use(chain[:num_blocks])

    def shrink(self, most_bytes: int) -> None:
        """Let the least recently used go until no more than so many bytes are kept."""
        while self._blocks and self.size_bytes > most_bytes:
            self._blocks.popitem(last=False)

    def forget(self, adapter: str) -> None:
        """Let go of whatever was computed with this version of an adapter."""
        for block in [block for block in self._blocks.values() if block.space.adapter == adapter]:
            del self._blocks[block.key]

    def _find(self, space: PrefixSpace, ids: Sequence[int]) -> list[CachedBlock]:
        """The kept blocks with which `ids` begins, in order."""
        found: list[CachedBlock] = []
        before: PrefixSpace | CachedBlock = space
        for start in range(0, len(ids) - BLOCK + 1, BLOCK):
            block = self._blocks.get((before, tuple(ids[start : start + BLOCK])))
            if block is None:
                break
            found.append(block)
            before = block
        return found

    def _use(self, chain: Sequence[CachedBlock]) -> None:
        # Backwards, so that no block ever outlives the one before it: without that it could not be found.
        for block in reversed(chain):
            self._blocks.move_to_end(block.key)

    def _read(self, slot: CacheRow, start: int, key: BlockKey, space: PrefixSpace) -> CachedBlock:
        """A copy of the positions from `start` on; one allocation, which goes as a whole."""
        stored = [*slot.shelf.k_RSKD, *slot.shelf.v_RSKD]
        shapes = [*self._k_shapes, *self._v_shapes]
        sizes = [num_positions * heads * width for num_positions, heads, width in shapes]
        parts = torch.split(self._like.new_empty(sum(sizes)), sizes)
        views = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        for view_BKD, x_RSKD in zip(views, stored, strict=True):
            view_BKD.copy_(x_RSKD[slot.row, start : start + BLOCK])
        num_layers = len(self._k_shapes)
        return CachedBlock(key=key, space=space, k_BKD=views[:num_layers], v_BKD=views[num_layers:])


def num_common(ids: Sequence[int], others: Sequence[int]) -> int:
    """The number of tokens with which both begin."""
    most = min(len(ids), len(others))
    for start in range(0, most, BLOCK):
        end = min(start + BLOCK, most)
        if ids[start:end] != others[start:end]:
            pairs = zip(ids[start:end], others[start:end], strict=True)
            return start + sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return most
