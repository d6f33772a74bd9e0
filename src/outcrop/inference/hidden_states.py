"""Mean hidden states of texts in a text model, which stand in for the vectors of an encoder.

The states are those that the model hands to its LM head, averaged over the tokens of a text. No model was trained for
it: texts that are alike come out nearer to each other than others, and an encoder is far better at it.
"""

from array import array
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from outcrop.inference.encoder_requests import Vector
from outcrop.network import decoder, load
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.attention import Packed
from outcrop.network.run_mode import RunMode

Ids = Sequence[int]


def passes(network: nn.Module, rows: Sequence[Ids], most_tokens: int) -> Iterator[Sequence[Ids]]:
    """The rows in their order, cut into what one pass reads; a longer row is a pass by itself."""
    together = load.way_of(network) is RunMode.PACKED
    group: list[Ids] = []
    for row in rows:
        if group and (not together or sum(map(len, group)) + len(row) > most_tokens):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


@torch.inference_mode()
def mean(network: nn.Module, routing: Routing, rows: Sequence[Ids], adapter: str | None) -> list[Vector]:
    """The mean hidden state of each of the rows, which are read in one pass."""
    lengths = [len(row) for row in rows]
    layout = Packed(lengths=lengths)
    routing.spans = [] if adapter is None else [AdapterSpan(0, sum(lengths), adapter)]
    ids_1T = torch.tensor([[token for row in rows for token in row]])
    found_TH = _states(network, ids_1T, layout)
    return [array("f", part_TH.float().mean(0).cpu().tolist()) for part_TH in torch.split(found_TH, lengths)]


def _states(network: nn.Module, ids_1T: Tensor, layout: Packed) -> Tensor:
    positions_1T = layout.positions().to(load.device())
    if load.way_of(network) is RunMode.PACKED:
        return decoder.hidden(network, ids_1T, positions_1T, layout)
    # A family of its own need not have a decoder that runs by itself.
    given = load.inputs(network, ids_1T, positions_1T, layout)
    states: Tensor = network(**given, use_cache=False, output_hidden_states=True).hidden_states[-1]
    return states[0]
