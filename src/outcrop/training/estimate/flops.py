"""How many floating-point operations a training step needs, whatever the code that runs it really does.

Counted are the products of matrices, two operations a multiply-add: each linear layer forward, its input's gradient,
and its weights' gradient where they are trained; attention within each record, causal; the LM head at supervised
positions only. A last layer that is computed at those alone counts as a whole one. Divided by the time and by a
measured peak, this is the model FLOPs utilization of Chowdhery et al. 2022, arXiv:2204.02311, appendix B, there for
networks that are trained in full on texts of equal length.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from outcrop.network import facts


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Operations of a forward and backward pass, by what they grow with."""

    per_token: float
    per_supervised: float
    per_token_pair: float
    "Of a record, its length squared."

    def of(self, lengths: Iterable[int], num_supervised: int) -> float:
        """The operations of one step over records of these lengths."""
        tokens = pairs = 0
        for length in lengths:
            tokens += length
            pairs += length * length
        return self.per_token * tokens + self.per_supervised * num_supervised + self.per_token_pair * pairs


def step_cost(network: Any, *, num_trained: int) -> StepCost:
    """The operations of a training step of a transformers causal language model.

    `num_trained` of its parameters are trained.
    """
    head = network.get_output_embeddings()
    linear = [m.weight for m in network.modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    matmul = sum(weight.numel() for weight in linear)
    # An adapter's weights come beside those of the frozen layers; a network trained in full has no others.
    beside = 0 if any(weight.requires_grad for weight in linear) else num_trained
    described = facts.of_config(network.config)
    return StepCost(
        per_token=4.0 * (matmul + beside) + 2.0 * num_trained,
        per_supervised=4.0 * (0 if head is None else head.weight.numel()),
        # Scores and their product with the values: 2 x 2 operations for each of half the pairs, and twice that back.
        per_token_pair=6.0 * described.layers * described.heads * described.head_width,
    )
