"""A network on held-out records, and after which steps."""

from collections.abc import Sequence

import torch
from torch import nn

from outcrop.network.adapters import Routing
from outcrop.training.batches import rows_of
from outcrop.training.examples import Example
from outcrop.training.loss import nll_of
from outcrop.training.metrics import Score
from outcrop.training.ranks import Ranks


def score(
    network: nn.Module, routing: Routing, examples: Sequence[Example], *, token_budget: int, ranks: Ranks
) -> Score:
    """The loss over all supervised tokens of the examples, summed in fp64; each rank computes its share."""
    share = [examples[index] for index in ranks.share([len(example) for example in examples])]
    nll = 0.0
    with torch.inference_mode():
        for row in rows_of(share, token_budget):
            nll += float(nll_of(network, routing, row).double().sum())
    return Score(
        nll=ranks.sum(nll),
        num_tokens=sum(example.num_supervised for example in examples),
        num_bytes=sum(example.num_bytes for example in examples),
    )


def steps_to_evaluate(steps: int, *, every: int) -> frozenset[int]:
    """Numbers of steps taken: each multiple of `every`, and the end of the run."""
    return frozenset({*range(every, steps, every), steps})
