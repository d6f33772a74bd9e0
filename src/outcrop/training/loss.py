"""The loss of a row: nothing but the supervised positions goes through the LM head."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from outcrop.network import load
from outcrop.network.adapters import Routing, Span
from outcrop.training.batches import Row, row_of
from outcrop.training.examples import Example

ADAPTER = "trained"
"The name under which the layers hold the adapter that is trained."


def nll_of(network: nn.Module, routing: Routing, row: Row) -> Tensor:
    """The negative log-likelihood of each supervised token, nll_N, in nats and fp32."""
    routing.spans = [Span(0, row.ids_1T.shape[1], ADAPTER)]
    logits_NV = load.logits(network, row.ids_1T, row.positions_1T, row.layout, at_N=row.at_N)
    return cross_entropy(logits_NV.float(), row.target_N, reduction="none")


def log_probabilities(network: nn.Module, routing: Routing, ids: list[int]) -> list[float]:
    """Of ids[1:], each given those before it."""
    ids_T = torch.tensor(ids)
    whole = Example(ids_T=ids_T, at_N=torch.arange(len(ids) - 1), target_N=ids_T[1:], num_bytes=0, line=0)
    with torch.inference_mode():
        return (-nll_of(network, routing, row_of([whole]))).tolist()
