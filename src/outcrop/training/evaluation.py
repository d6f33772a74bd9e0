"""Evaluation: the loss of a network on held-out records."""

from collections.abc import Sequence

import torch

from outcrop.network import load
from outcrop.training.batches import PackedRow
from outcrop.training.data_parallel.ranks import Ranks, rank_batch_of
from outcrop.training.data_parallel.worker_threads import Replica
from outcrop.training.examples import Example
from outcrop.training.loss import nll_of
from outcrop.training.metrics import Score
from outcrop.training.stepping import Trained


def score(trained: Trained, examples: Sequence[Example], *, token_budget: int, ranks: Ranks) -> Score:
    """The loss over all supervised tokens of the examples, summed in fp64; each rank computes its share."""
    together = trained.weights.is_sharded
    share = rank_batch_of(examples, token_budget, ranks, together=together, way=load.way_of(trained.network))

    def nll(replica: Replica, row: PackedRow) -> float:
        # What a split network gathers outlives an evaluation, and must be no tensor of inference alone.
        with torch.no_grad() if together else torch.inference_mode():
            return float(nll_of(replica.network, replica.routing, row).double().sum())

    total = trained.replicas.sum(share.examples, token_budget, nll)
    for row in share.idle:
        nll(trained.replicas.first, row)
    return Score(
        nll=ranks.sum(total),
        num_tokens=sum(example.num_supervised for example in examples),
        num_bytes=sum(example.num_bytes for example in examples),
    )
