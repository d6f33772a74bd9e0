"""The loss of a row: nothing but the supervised positions goes through the LM head."""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from outcrop.network import load
from outcrop.network.adapters.linear import Routing
from outcrop.network.fast import last_layer, lm_head
from outcrop.network.fast.lm_head import LMHead
from outcrop.training import cross_entropy as sliced
from outcrop.training.batches import PackedRow, row_of
from outcrop.training.examples import ADAPTER, Example

# Trying a head out costs a forward pass, so it is done once for as long as a network lives.
_HEADS: WeakKeyDictionary[nn.Module, LMHead | None] = WeakKeyDictionary()


def nll_of(network: nn.Module, routing: Routing, row: PackedRow) -> Tensor:
    """The negative log-likelihood of each supervised token, nll_N, in nats and fp32."""
    head = _head_of(network, routing)
    routing.spans, routing.kept_spans = list(row.spans), list(row.supervised_spans)
    if head is None:
        logits_NV = load.logits(network, row.ids_1T, row.positions_1T, row.layout, at_N=row.at_N)
        return cross_entropy(logits_NV.float(), row.target_N.to(logits_NV.device), reduction="none")
    hidden_NH = last_layer.hidden_at(network, row.ids_1T, row.positions_1T, row.layout, row.at_N)
    return sliced.nll(hidden_NH, head, row.target_N.to(hidden_NH.device))


def log_probabilities(network: nn.Module, routing: Routing, ids: list[int], *, adapter: str = ADAPTER) -> list[float]:
    """The log probability of each of ids[1:], given those before it."""
    ids_T, at_N = torch.tensor(ids), torch.arange(len(ids) - 1)
    whole = Example(ids_T=ids_T, at_N=at_N, target_N=ids_T[1:], num_bytes=0, line=0, adapter=adapter)
    with torch.inference_mode():
        return (-nll_of(network, routing, row_of([whole]))).tolist()


def _head_of(network: nn.Module, routing: Routing) -> LMHead | None:
    if network not in _HEADS:
        routing.spans = []  # the bare base tells
        _HEADS[network] = lm_head.find(network)
    return _HEADS[network]
