"""The decoder of a network: its layers, and the hidden states that it hands to the LM head.

Shapes: T tokens of a row, H hidden width.
"""

from typing import Any

from torch import Tensor, nn

from outcrop.network import load
from outcrop.network.attention import Layout


def layers_of(network: Any) -> list[nn.Module]:
    """The layers in the order in which they compute; none where there is no one list of them."""
    lists = [module for module in network.get_decoder().children() if isinstance(module, nn.ModuleList)]
    return list(lists[0]) if len(lists) == 1 else []


def hidden(network: nn.Module, ids_1T: Tensor, positions_1T: Tensor, layout: Layout) -> Tensor:
    """The hidden states that the network hands to its head, hidden_TH."""
    decoder: Any = network.get_decoder()  # type: ignore[operator]
    out = decoder(**load.inputs(network, ids_1T, positions_1T, layout), use_cache=False)
    return out.last_hidden_state[0]  # type: ignore[no-any-return]
