"""Every fast way of a network that trains, put in at once. docs/fast.md says what is swapped, and how it is proven.

Each file of this folder has one of them; `swaps.py` does the swapping. The C of `kernels/` serves them all, and
attention and the loss besides.
"""

from torch import nn

from outcrop.network import load, swaps
from outcrop.network.adapters.linear import Routing
from outcrop.network.fast import gated_mlp, last_layer, rms_norm, rotary, shared_input, switch
from outcrop.network.run_mode import RunMode


def swap_in(network: nn.Module, routing: Routing) -> None:
    """Have a network keep and compute less while it trains, where it is known how; its numbers stay the same.

    One that is run as `transformers` runs it keeps to that altogether. Raises Changed for classes of `transformers`
    that a new version has changed.
    """
    if not switch.is_on() or load.way_of(network) is not RunMode.PACKED:
        return
    swaps.check(network)
    routing.spans = []  # all of it is tried out on the bare base
    gated_mlp.swap_in(network)
    rms_norm.swap_in(network)
    rotary.swap_in(network)
    shared_input.swap_in(network)
    last_layer.trim(network)
