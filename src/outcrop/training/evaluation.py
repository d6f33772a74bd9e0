"""A network on held-out records."""

from collections.abc import Sequence

import torch

from outcrop.network import load
from outcrop.training.batches import Row
from outcrop.training.data_parallel.ranks import Ranks
from outcrop.training.data_parallel.shares import share_of
from outcrop.training.data_parallel.worker_threads import Lane
from outcrop.training.examples import Example
from outcrop.training.loss import nll_of
from outcrop.training.metrics import Score
from outcrop.training.stepping import Trained


def score(trained: Trained, examples: Sequence[Example], *, token_budget: int, ranks: Ranks) -> Score:
    """The loss over all supervised tokens of the examples, summed in fp64; each rank computes its share."""
    together = trained.weights.is_sharded
    share = share_of(examples, token_budget, ranks, together=together, way=load.way_of(trained.network))

    def nll(lane: Lane, row: Row) -> float:
        # What a split network gathers outlives an evaluation, and must be no tensor of inference alone.
        with torch.no_grad() if together else torch.inference_mode():
            return float(nll_of(lane.network, lane.routing, row).double().sum())

    total = trained.lanes.sum(share.examples, token_budget, nll)
    for row in share.idle:
        nll(trained.lanes.first, row)
    return Score(
        nll=ranks.sum(total),
        num_tokens=sum(example.num_supervised for example in examples),
        num_bytes=sum(example.num_bytes for example in examples),
    )
