"""The `Layout` of one step: parts of some prompts beside one token each of those that decode.

New keys and values go to the cache first. Then each part of a prompt attends by itself, and the sequences of a shelf
that decode attend together, over a view of its first rows.

Shapes: M rows of a shelf that decode together, K key/value heads, H query heads, G query heads per key/value head,
S positions, D head width, T tokens of the step's row, N some of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from outcrop.inference.cache_pool import CachePool, CacheRow
from outcrop.network.attention import Scoring, SequenceSpan, attend_causal


class SequencePiece(NamedTuple):
    """The tokens of one sequence in a step's row: a part of its prompt, or one decoded token."""

    slot: CacheRow
    num_tokens: int
    length: int
    "Tokens of the whole sequence, as far as it is known: a part of a prompt is read as part of all of it."


class _Write(NamedTuple):
    """Where this step's keys and values of one shelf go."""

    shelf: CachePool
    tokens: Tensor | None
    "Which tokens of the row; None is all of them."
    places: Tensor
    "row · row_length + position."


class _Chunk(NamedTuple):
    """Part of a prompt: tokens start..end of the row."""

    slot: CacheRow
    start: int
    end: int
    num_keys: int


class _Decoding(NamedTuple):
    """The sequences of one shelf that decode one token each, computed over the shelf's first M rows.

    A row that does not decode in this step borrows another's query and sees one key; its output is dropped.
    """

    shelf: CachePool
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

    def __init__(self, pieces: Sequence[SequencePiece], device: torch.device) -> None:
        self._device = device
        starts = _starts(pieces)
        self._sequences = [
            SequenceSpan(start, start + piece.num_tokens, piece.length)
            for piece, start in zip(pieces, starts, strict=True)
        ]
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

    def sequences(self) -> Sequence[SequenceSpan]:
        return self._sequences

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

    def _write(
        self, shelf: CachePool, pieces: Sequence[SequencePiece], starts: Sequence[int], *, alone: bool
    ) -> _Write:
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

    def _decoding(self, shelf: CachePool, pieces: Sequence[SequencePiece], starts: Sequence[int]) -> _Decoding | None:
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


def _starts(pieces: Sequence[SequencePiece]) -> list[int]:
    starts, total = [], 0
    for piece in pieces:
        starts.append(total)
        total += piece.num_tokens
    return starts


def decode(
    q_HMD: Tensor, k_RSKD: Tensor, v_RSKD: Tensor, longest: int, mask_M11S: Tensor | None, scoring: Scoring
) -> Tensor:
    """The attention of one new token in each of a shelf's first M rows.

    It goes over the first `longest` positions, and gives o_MHD.

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
    """The mask to add to the scores of rows with so many keys. It is 0 where a row may look, -inf elsewhere; M11S."""
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
