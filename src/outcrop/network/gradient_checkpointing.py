"""Gradient checkpointing: layers remember their input alone and are computed again in the backward pass.

What a row keeps then is one tensor a layer and one layer's whole. The numbers are the same, bit for bit; a step takes a
forward pass longer. Source: Chen et al. 2016, arXiv:1604.06174.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from outcrop.network import swaps
from outcrop.network.adapters import dropout
from outcrop.network.decoder import layers_of


class _Forgetting:
    """A decoder layer that is computed again in the backward pass."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        own = super().forward  # type: ignore[misc]
        if not torch.is_grad_enabled():
            return own(*args, **kwargs)
        return checkpoint(
            _RecomputedLayer(partial(own, *args, **kwargs)), use_reentrant=False, preserve_rng_state=False
        )


class _RecomputedLayer:
    """A layer's forward pass, whose dropout drops the second time what it dropped the first."""

    def __init__(self, own: Callable[[], Any]) -> None:
        self._own = own
        self._drawn = dropout.again()
        self._first = True

    def __call__(self) -> Any:
        if self._first:
            self._first = False
            return self._own()
        with self._drawn():
            return self._own()


def checkpoint_layers(network: nn.Module) -> int:
    """Have the layers of a network forget; returns how many do. Not the last, which is the first to be wanted again."""
    layers = layers_of(network)[:-1]
    for layer in layers:
        swaps.put_before(layer, _Forgetting)
    return len(layers)
