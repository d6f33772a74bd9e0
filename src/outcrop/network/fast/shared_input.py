"""LoRA layers that read one tensor, as those of queries, keys and values do, computed together.

The first that is called answers for its siblings, which then hand out what is there if they are given the very same
tensor. So nothing is taken for granted about a network: layers that are used otherwise compute for themselves.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.network.adapters import lora
from outcrop.network.adapters.linear import AdapterLinear

_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"Names of siblings, in most families of `transformers`."


class _Sharing(AdapterLinear):
    """A linear layer that is computed together with those that read the same input."""

    siblings: Sequence["_Sharing"]
    "Itself among them, in the order in which a network calls them."
    found: tuple[Tensor, int, Tensor] | None = None
    "What the first sibling was asked, how often that had been written to, and this layer's answer to it."

    def forward(self, x_BTI: Tensor) -> Tensor:
        found, self.found = self.found, None
        learns = torch.is_grad_enabled()
        if learns and found is not None and found[0] is x_BTI and found[1] == x_BTI._version:
            return found[2]
        if not learns or self is not self.siblings[0]:
            return super().forward(x_BTI)
        if x_BTI.ndim != 3 or x_BTI.shape[0] != 1:
            return super().forward(x_BTI)
        layers = [(layer.base, layer.updates_at(x_BTI.shape[1])) for layer in self.siblings]
        if not all(lora.all_add_in_place(x_BTI, placed, base) for base, placed in layers):
            return super().forward(x_BTI)
        y_BTO, *others = lora.several(x_BTI, layers)
        for layer, other_BTO in zip(self.siblings[1:], others, strict=True):
            layer.found = x_BTI, x_BTI._version, other_BTO
        return y_BTO

    def __getstate__(self) -> dict[str, Any]:
        """The layer's state for a copy, without an answer that was never fetched.

        A copy of the network has no use for it, and could not copy it.
        """
        return {name: value for name, value in self.__dict__.items() if name != "found"}


def swap_in(network: nn.Module) -> int:
    """Have layers that share their input compute together while LoRA is trained; returns how many groups do."""
    groups = list[list[AdapterLinear]]()
    for module in network.modules():
        for names in _TOGETHER:
            held = [layer for name in names if type(layer := getattr(module, name, None)) is AdapterLinear]
            if len(held) == len(names) and len({layer.widths[0] for layer in held}) == 1:
                groups.append(held)
    for group in groups:
        for layer in group:
            layer.__class__ = _Sharing
        siblings = [layer for layer in group if isinstance(layer, _Sharing)]
        for layer in siblings:
            layer.siblings = siblings
    return len(groups)
