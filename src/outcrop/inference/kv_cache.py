"""Remembered keys and values of every live sequence, and the `Layout` of one step over them.

Sequences of like reserved length share a *shelf*: one tensor per layer whose first rows are the live sequences, without
gaps, so that all of them decode in one attention call over a view, without gathering. When a sequence leaves, the
shelf's last row moves into its place. A sequence reserves room for its whole life when it is admitted, so nothing that
runs is ever thrown out again.

Shapes: R rows of a shelf, S positions, K key/value heads, H query heads, G query heads per key/value head, D head
width, T tokens of the step's row, N some of them, M rows that decode together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from outcrop.network.attention import Scoring, attend_causal

# Rows have few different lengths, so that most sequences share a shelf; what a row reserves and never uses stays
# untouched memory on a CPU.
SHORTEST_ROW = 256
_LONGER = 4


class LayerShape(NamedTuple):
    """What one layer remembers per position."""

    num_heads: int
    key_width: int
    value_width: int


@dataclass(kw_only=True, eq=False)
class Slot:
    """A sequence's place: one row of a shelf. The row changes when another sequence leaves the shelf."""

    shelf: "Shelf"
    row: int
    length: int = 0
    "Positions written so far."


class Shelf:
    """Rows of one length; live sequences always fill the first ones."""

    def __init__(self, row_length: int, layers: Sequence[LayerShape], like: Tensor) -> None:
        self.row_length = row_length
        self.slots: list[Slot] = []
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

    def take(self) -> Slot:
        slot = Slot(shelf=self, row=len(self.slots))
        self.slots.append(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
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

    def __init__(self, layers: Sequence[LayerShape], *, like: Tensor, context_length: int, max_bytes: int) -> None:
        self._layers = layers
        self._like = like
        self._context_length = context_length
        self._max_bytes = max_bytes
        self._shelves: dict[int, Shelf] = {}
        per_position = sum(s.num_heads * (s.key_width + s.value_width) for s in layers)
        self._position_bytes = per_position * like.element_size()

    @property
    def size_bytes(self) -> int:
        """What the shelves hold, used or not."""
        return self._position_bytes * sum(s.num_rows * s.row_length for s in self._shelves.values())

    def could_hold(self, num_tokens: int) -> bool:
        """Whether a sequence of this many tokens fits into the empty cache."""
        return num_tokens <= self._context_length and self._row_bytes(num_tokens) <= self._max_bytes

    def take(self, num_tokens: int) -> Slot | None:
        """A place for a sequence that will grow to `num_tokens`; None while there is no room."""
        row_length = self._row_length(num_tokens)
        shelf = self._shelves.get(row_length)
        if shelf is None:
            shelf = self._shelves[row_length] = Shelf(row_length, self._layers, self._like)
        if len(shelf.slots) == shelf.num_rows and not self._grow(shelf):
            return None
        return shelf.take()

    def give_back(self, slot: Slot) -> None:
        slot.shelf.give_back(slot)

    def _grow(self, shelf: Shelf) -> bool:
        row_bytes = self._position_bytes * shelf.row_length
        if self._max_bytes - self.size_bytes < row_bytes:
            self._drop_unused_rows()
        num_free = (self._max_bytes - self.size_bytes) // row_bytes
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


class Piece(NamedTuple):
    """The next tokens of one sequence in this step's row: a part of its prompt, or the one token it decodes."""

    slot: Slot
    num_tokens: int


class _Write(NamedTuple):
    """Where this step's keys and values of one shelf go."""

    shelf: Shelf
    tokens: Tensor | None
    "Which tokens of the row; None is all of them."
    places: Tensor
    "row · row_length + position."


class _Chunk(NamedTuple):
    """Part of a prompt: tokens start..end of the row."""

    slot: Slot
    start: int
    end: int
    num_keys: int


class _Decoding(NamedTuple):
    """The sequences of one shelf that decode one token each, computed over the shelf's first M rows.

    A row that does not decode in this step borrows another's query and sees one key; its output is dropped.
    """

    shelf: Shelf
    tokens: Tensor
    "Of each of the M rows: which token of the step's row is its query."
    lengths: Tensor
    "Of each of the M rows: how many keys there are, the new one included."
    longest: int
    alike: bool
    "Whether all have the same length."
    rows: Tensor
    "Which of the M rows decode,"
    into: Tensor
    "and to which tokens of the step's row their outputs belong."


class StepLayout:
    """Where each piece of one step's row lies; remembers the new keys and values, then attends."""

    def __init__(self, pieces: Sequence[Piece], device: torch.device) -> None:
        self._device = device
        starts = _starts(pieces)
        shelves = list(dict.fromkeys(piece.slot.shelf for piece in pieces))
        self._writes = [self._write(shelf, pieces, starts, alone=len(shelves) == 1) for shelf in shelves]
        self._chunks = [
            _Chunk(piece.slot, start, start + piece.num_tokens, piece.slot.length + piece.num_tokens)
            for piece, start in zip(pieces, starts, strict=True)
            if piece.num_tokens > 1
        ]
        decoding = [self._decoding(shelf, pieces, starts) for shelf in shelves]
        self._decodings = [d for d in decoding if d is not None]
        only = self._decodings[0] if len(self._decodings) == 1 and not self._chunks else None
        self._in_row_order = only is not None and only.tokens.tolist() == list(range(len(pieces)))
        self._masks: dict[tuple[int, int | None], Tensor | None] = {}

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        k_TKD, v_TKD = k_KTD.transpose(0, 1), v_KTD.transpose(0, 1)
        for shelf, tokens_N, places_N in self._writes:
            for stored, new_TKD in ((shelf.k_RSKD[layer], k_TKD), (shelf.v_RSKD[layer], v_TKD)):
                stored.flatten(0, 1).index_copy_(0, places_N, new_TKD if tokens_N is None else new_TKD[tokens_N])
        if self._in_row_order:
            return self._decode(0, layer, q_HTD, scoring).transpose(0, 1)
        o_THD = q_HTD.new_empty(q_HTD.shape[1], q_HTD.shape[0], v_KTD.shape[2])
        for slot, start, end, num_keys in self._chunks:
            k_KSD = slot.shelf.k_RSKD[layer][slot.row, :num_keys].transpose(0, 1)
            v_KSD = slot.shelf.v_RSKD[layer][slot.row, :num_keys].transpose(0, 1)
            o_THD[start:end] = attend_causal(q_HTD[:, start:end], k_KSD, v_KSD, scoring).transpose(0, 1)
        for index, decoding in enumerate(self._decodings):
            o_MHD = self._decode(index, layer, q_HTD[:, decoding.tokens], scoring)
            o_THD[decoding.into] = o_MHD[decoding.rows]
        return o_THD.transpose(0, 1)

    def _decode(self, index: int, layer: int, q_HMD: Tensor, scoring: Scoring) -> Tensor:
        decoding = self._decodings[index]
        shelf, mask_M11S = decoding.shelf, self._mask(index, scoring.window)
        return decode(q_HMD, shelf.k_RSKD[layer], shelf.v_RSKD[layer], decoding.longest, mask_M11S, scoring)

    def _mask(self, index: int, window: int | None) -> Tensor | None:
        """Made once per step and window; None when all rows may look everywhere."""
        if (index, window) not in self._masks:
            decoding = self._decodings[index]
            plain = decoding.alike and (window is None or window >= decoding.longest)
            like = decoding.shelf.k_RSKD[0]
            self._masks[index, window] = None if plain else decoding_mask(decoding.lengths, window, like)
        return self._masks[index, window]

    def _write(self, shelf: Shelf, pieces: Sequence[Piece], starts: Sequence[int], *, alone: bool) -> _Write:
        places: list[int] = []
        tokens: list[int] = []
        for piece, start in zip(pieces, starts, strict=True):
            if piece.slot.shelf is not shelf:
                continue
            first = piece.slot.row * shelf.row_length + piece.slot.length
            assert piece.slot.length + piece.num_tokens <= shelf.row_length, "a sequence outgrew what it reserved"
            places.extend(range(first, first + piece.num_tokens))
            tokens.extend(range(start, start + piece.num_tokens))
        return _Write(shelf, None if alone else self._ids(tokens), self._ids(places))

    def _decoding(self, shelf: Shelf, pieces: Sequence[Piece], starts: Sequence[int]) -> _Decoding | None:
        by_row = {
            piece.slot.row: (start, piece.slot.length + 1)
            for piece, start in zip(pieces, starts, strict=True)
            if piece.num_tokens == 1 and piece.slot.shelf is shelf
        }
        if not by_row:
            return None
        rows = sorted(by_row)
        borrowed = by_row[rows[0]][0]
        tokens, lengths = zip(*(by_row.get(row, (borrowed, 1)) for row in range(rows[-1] + 1)), strict=True)
        return _Decoding(
            shelf=shelf,
            tokens=self._ids(tokens),
            lengths=self._ids(lengths),
            longest=max(lengths),
            alike=len(set(lengths)) == 1,
            rows=self._ids(rows),
            into=self._ids([by_row[row][0] for row in rows]),
        )

    def _ids(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, device=self._device)


class _Measuring:
    """A layout that remembers nothing but what there would be to remember."""

    def __init__(self) -> None:
        self.layers: dict[int, LayerShape] = {}
        self.windows: dict[int, int | None] = {}
        self.like = torch.empty(0)

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        self.layers[layer] = LayerShape(k_KTD.shape[0], k_KTD.shape[2], v_KTD.shape[2])
        self.windows[layer] = scoring.window
        self.like = k_KTD.new_empty(0)
        return attend_causal(q_HTD, k_KTD, v_KTD, scoring)


class Measures(NamedTuple):
    """What a network's layers need of a cache."""

    layers: list[LayerShape]
    windows: list[int | None]
    like: Tensor
    "An empty tensor of the kind that is remembered."


def measure(network: nn.Module) -> Measures:
    """Found by running one token.

    Configurations name these widths differently in every architecture; the tensors themselves do not lie.
    """
    layout: Any = _Measuring()
    ids_11 = torch.zeros(1, 1, dtype=torch.long, device=next(network.parameters()).device)
    with torch.inference_mode():
        network(input_ids=ids_11, position_ids=ids_11, layout=layout, use_cache=False)
    assert sorted(layout.layers) == list(range(len(layout.layers))), "every layer attends"
    numbers = range(len(layout.layers))
    return Measures([layout.layers[n] for n in numbers], [layout.windows[n] for n in numbers], layout.like)


def _starts(pieces: Sequence[Piece]) -> list[int]:
    starts, total = [], 0
    for piece in pieces:
        starts.append(total)
        total += piece.num_tokens
    return starts


def decode(
    q_HMD: Tensor, k_RSKD: Tensor, v_RSKD: Tensor, longest: int, mask_M11S: Tensor | None, scoring: Scoring
) -> Tensor:
    """One new token of each of a shelf's first M rows over its first `longest` positions: o_MHD.

    The G query heads that share a key/value head stand where queries stand, so nothing is repeated.
    """
    num_heads, num_rows, width = q_HMD.shape
    k_MKSD = k_RSKD[:num_rows, :longest].transpose(1, 2)
    v_MKSD = v_RSKD[:num_rows, :longest].transpose(1, 2)
    q_MKGD = q_HMD.transpose(0, 1).reshape(num_rows, k_MKSD.shape[1], -1, width)
    if scoring.softcap is None:
        o_MKGD = scaled_dot_product_attention(q_MKGD, k_MKSD, v_MKSD, attn_mask=mask_M11S, scale=scoring.scale)
    else:
        o_MKGD = _softcapped(q_MKGD, k_MKSD, v_MKSD, mask_M11S, scoring.scale, scoring.softcap)
    return o_MKGD.reshape(num_rows, num_heads, -1)


def decoding_mask(lengths_M: Tensor, window: int | None, like: Tensor) -> Tensor:
    """What to add to the scores of rows with so many keys: 0 where a row may look, -inf elsewhere; M11S."""
    key_1S = torch.arange(int(lengths_M.max()), device=lengths_M.device).unsqueeze(0)
    length_M1 = lengths_M.unsqueeze(1)
    hidden_MS = key_1S >= length_M1
    if window is not None:
        hidden_MS = hidden_MS | (key_1S < length_M1 - window)
    mask_MS = like.new_zeros(hidden_MS.shape).masked_fill_(hidden_MS, float("-inf"))
    return mask_MS[:, None, None, :]


def _softcapped(
    q_MKGD: Tensor, k_MKSD: Tensor, v_MKSD: Tensor, mask_M11S: Tensor | None, scale: float, softcap: float
) -> Tensor:
    scores_MKGS = torch.tanh(q_MKGD @ k_MKSD.transpose(2, 3) * scale / softcap) * softcap
    if mask_M11S is not None:
        scores_MKGS = scores_MKGS + mask_M11S
    return torch.softmax(scores_MKGS, dim=-1, dtype=torch.float32).to(v_MKSD.dtype) @ v_MKSD
