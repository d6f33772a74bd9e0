"""The last layer of a network, computed only at the positions whose hidden states are wanted.

What follows its attention concerns one token at a time, so a loss over completions has no use for it at the prompts'.
Keys and values are still those of all tokens. Layers are taken to be functions of their input, at one position, and of
what their attention gives there; a network where that is not so, tried out once, is left as it is.

Shapes: B = 1 row, T tokens, N positions of them, H hidden width.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from outcrop.network import decoder, load, swaps
from outcrop.network.attention import Packed

_ATTENTION = ("self_attn", "attn", "attention")
_BEFORE = ("input_layernorm", "ln_1")
"Norms that a layer puts before its attention; without one, attention is given the layer's own input."
_CLOSE = 1e-5
"How far a hidden state may be from that of the whole layer, as a share of the largest number."


class _Trimmed:
    """A last layer that computes at the kept positions only."""

    attention_name: str

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        kept_N = getattr(kwargs.get("layout"), "kept_N", None)
        if kept_N is None:
            return super().forward(hidden_states, *args, **kwargs)  # type: ignore[misc]
        norms = (getattr(self, name) for name in _BEFORE if hasattr(self, name))
        norm = next(norms, lambda x_BTH: x_BTH)
        attention: _Selecting = getattr(self, self.attention_name)
        attention.whole = norm(hidden_states)
        try:
            return super().forward(hidden_states.index_select(1, kept_N), *args, **kwargs)  # type: ignore[misc]
        finally:
            attention.whole = None


class _Selecting:
    """The attention of a trimmed layer, which sees the whole row and answers for the kept positions."""

    whole: Tensor | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.whole is None:
            return super().forward(*args, **kwargs)  # type: ignore[misc]
        if "hidden_states" in kwargs:
            kwargs["hidden_states"] = self.whole
        else:
            args = (self.whole, *args[1:])
        out_BTH, *rest = super().forward(*args, **kwargs)  # type: ignore[misc]
        return (out_BTH.index_select(1, kwargs["layout"].kept_N), *rest)


def trim(network: Any) -> bool:
    """Have the last layer answer at the positions in `Packed.kept_N`, where they are given; returns whether it does."""
    layer = _last_layer(network)
    name = next((name for name in _ATTENTION if hasattr(layer, name)), None)
    if layer is None or name is None:
        return False
    attention = getattr(layer, name)
    own = type(layer), type(attention)
    swaps.put_before(layer, _Trimmed, attention_name=name)
    swaps.put_before(attention, _Selecting)
    if not _answers_alike(network):
        layer.__class__, attention.__class__ = own
        return False
    return True


def hidden_at(network: Any, ids_1T: Tensor, positions_1T: Tensor, layout: Packed, at_N: Tensor) -> Tensor:
    """The hidden states before the LM head at the positions `at_N` of the row, hidden_NH."""
    at_N = at_N.to(load.device())
    if isinstance(_last_layer(network), _Trimmed):
        return decoder.hidden(network, ids_1T, positions_1T, replace(layout, kept_N=at_N))
    return decoder.hidden(network, ids_1T, positions_1T, layout).index_select(0, at_N)


def _last_layer(network: Any) -> Any:
    """None where there is no list of layers."""
    return next(reversed(decoder.layers_of(network)), None)


@torch.no_grad()
def _answers_alike(network: Any) -> bool:
    """On two records, the bare base, and positions that tell them apart."""
    layout = Packed(lengths=(5, 4))
    kept_N = torch.tensor([1, 4, 5, 8], device=load.device())
    row = torch.arange(9).unsqueeze(0) % network.get_input_embeddings().weight.shape[0], layout.positions()
    wanted_NH = decoder.hidden(network, *row, layout)[kept_N]
    try:
        found_NH = decoder.hidden(network, *row, replace(layout, kept_N=kept_N))
    except (RuntimeError, TypeError, AttributeError, ValueError, KeyError, IndexError):
        return False  # whatever such a layer expects, it is not this
    apart = (found_NH - wanted_NH).abs().max() if found_NH.shape == wanted_NH.shape else torch.inf
    return float(apart) <= _CLOSE * float(wanted_NH.abs().max())
