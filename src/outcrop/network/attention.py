"""The one attention function of the house, for packed training rows and for batched decoding alike.

`transformers` calls it for every layer of any architecture that goes through its attention interface. Several
sequences lie one behind the other in a single row; a `Layout` says where each begins and ends, and, when serving,
where its remembered keys and values are. No padding, no mask over the row, and no token ever sees another record.

Shapes: B = 1 row, H query heads, K key/value heads, T tokens of the row, S remembered plus new tokens, D head width.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from outcrop.errors import Invalid
from outcrop.network import swaps
from outcrop.network.fast.kernels import attention as kernel

IMPLEMENTATION = "outcrop"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """The attention scores of a layer: their scale, and what its architecture adds to plain attention."""

    scale: float
    window: int | None
    "A token sees this many positions, itself included; None sees all."
    softcap: float | None
    "Scores are squashed to ± this value; None leaves them."


class SequenceSpan(NamedTuple):
    """The place of one sequence's tokens in a row of many sequences."""

    start: int
    end: int
    length: int
    "Tokens of the whole sequence, of which the row may have the last few only, or the next few."


class Layout(Protocol):
    """The places of all sequences in a row, and their attention. Passed to the network as the keyword `layout`."""

    def sequences(self) -> Sequence[SequenceSpan]:
        """Every sequence of the row, in its order; none where all of them are known to be short."""
        ...

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        """The attention output o_HTD of one layer."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """Whole records side by side in one row, each attending to itself alone (training and scoring)."""

    lengths: Sequence[int]
    "Tokens of each record; they fill the row without gap."
    kept_N: Tensor | None = None
    "Positions whose hidden states are wanted of a network with a trimmed last layer; None: all."

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        del layer
        lengths = list(self.lengths)
        assert sum(lengths) == q_HTD.shape[1], "the lengths must fill the row"
        how = scoring.scale, scoring.window
        if scoring.softcap is None and (kernels := kernel.kernels_for(q_HTD, k_KTD, v_KTD, *how)):
            return kernel.attend(kernels, q_HTD, k_KTD, v_KTD, lengths, *how)
        parts = (torch.split(x, lengths, dim=1) for x in (q_HTD, k_KTD, v_KTD))
        found = (attend_causal(q, k, v, scoring) for q, k, v in zip(*parts, strict=True))
        # Token by token, as the kernel leaves them and the next layer reads them; else they would be copied once more.
        return torch.cat([o_HTD.transpose(0, 1) for o_HTD in found]).transpose(0, 1)

    def sequences(self) -> Sequence[SequenceSpan]:
        ends = list(itertools.accumulate(self.lengths))
        return [SequenceSpan(end - length, end, length) for end, length in zip(ends, self.lengths, strict=True)]

    def positions(self) -> Tensor:
        """Position ids of the row, p_1T: every record counts from 0."""
        return torch.cat([torch.arange(length) for length in self.lengths]).unsqueeze(0)


def attend_causal(q_HTD: Tensor, k_KSD: Tensor, v_KSD: Tensor, scoring: Scoring) -> Tensor:
    """Causal attention of the last T of S positions over all S of one sequence: o_HTD."""
    num_queries, num_keys = q_HTD.shape[1], k_KSD.shape[1]
    # On a CPU every kernel lets query heads share keys and values, which spares the copies and the memory they are
    # remembered in until the backward pass; on a GPU not all do.
    shares = q_HTD.device.type == "cpu" and scoring.softcap is None
    k_HSD = k_KSD if shares else _for_each_query_head(k_KSD, q_HTD.shape[0])
    v_HSD = v_KSD if shares else _for_each_query_head(v_KSD, q_HTD.shape[0])
    if scoring.softcap is not None:
        return _softcapped(q_HTD, k_HSD, v_HSD, scoring)
    windowed = scoring.window is not None and num_keys > scoring.window
    square = num_queries == num_keys and not windowed
    mask_TS = None if square or (num_queries == 1 and not windowed) else _visible(num_queries, num_keys, scoring, q_HTD)
    q, k, v = q_HTD.unsqueeze(0), k_HSD.unsqueeze(0), v_HSD.unsqueeze(0)
    causal = square and num_queries > 1
    return scaled_dot_product_attention(
        q, k, v, attn_mask=mask_TS, is_causal=causal, scale=scoring.scale, enable_gqa=shares
    ).squeeze(0)


def _softcapped(q_HTD: Tensor, k_HSD: Tensor, v_HSD: Tensor, scoring: Scoring) -> Tensor:
    assert scoring.softcap is not None
    scores_HTS = q_HTD @ k_HSD.transpose(1, 2) * scoring.scale
    scores_HTS = torch.tanh(scores_HTS / scoring.softcap) * scoring.softcap
    hidden_TS = ~_visible(q_HTD.shape[1], k_HSD.shape[1], scoring, q_HTD)
    weights_HTS = torch.softmax(scores_HTS.masked_fill(hidden_TS, float("-inf")), dim=-1, dtype=torch.float32)
    return weights_HTS.to(v_HSD.dtype) @ v_HSD


def _visible(num_queries: int, num_keys: int, scoring: Scoring, like: Tensor) -> Tensor:
    """The keys that each of the last queries may see, as booleans of shape TS."""
    query_T1 = torch.arange(num_keys - num_queries, num_keys, device=like.device).unsqueeze(1)
    key_1S = torch.arange(num_keys, device=like.device).unsqueeze(0)
    visible_TS = key_1S <= query_T1
    return visible_TS if scoring.window is None else visible_TS & (key_1S > query_T1 - scoring.window)


def _for_each_query_head(x_KSD: Tensor, num_heads: int) -> Tensor:
    repeats = num_heads // x_KSD.shape[0]
    return x_KSD if repeats == 1 else x_KSD.repeat_interleave(repeats, dim=0)


def _attention(
    module: nn.Module,
    q_BHTD: Tensor,
    k_BKTD: Tensor,
    v_BKTD: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: Layout | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The signature that `transformers` calls; o_BTHD as it expects."""
    assert q_BHTD.shape[0] == 1, "sequences lie side by side in one row, not in a batch"
    _demand(layout is not None, "its layers do not hand on where the records of a row lie")
    _demand(attention_mask is None, "its attention needs a mask or a bias of its own")
    _demand(s_aux is None, "its attention has sinks")
    _demand(dropout == 0.0, "its attention drops at random")
    assert layout is not None, "demanded"
    scale = scaling if scaling is not None else q_BHTD.shape[-1] ** -0.5
    scoring = Scoring(scale=scale, window=sliding_window, softcap=softcap)
    layer = module.layer_idx
    assert isinstance(layer, int)
    # Not [0], whose gradient is a tensor of zeros with this one copied into it.
    o_HTD = layout.attend(layer, q_BHTD.squeeze(0), k_BKTD.squeeze(0), v_BKTD.squeeze(0), scoring)
    return o_HTD.transpose(0, 1).unsqueeze(0), None


def _demand(holds: bool, otherwise: str) -> None:
    """Raises Invalid where a family's attention is not the one that is computed here."""
    if not holds:
        raise Invalid(f"{otherwise}, so records cannot share a row.")


# `transformers` finds attention functions by name; the name is ours, so nothing of its own is changed.
swaps.register_attention(IMPLEMENTATION, _attention)
