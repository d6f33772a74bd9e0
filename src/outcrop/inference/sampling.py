"""The next token from logits: greedy at temperature 0, else temperature, top-k, top-p, in that order, as everywhere.

A request draws from its own generator, one number per token, so its answer depends on its seed and not on who else is
in the batch.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from outcrop.inference.request import Sampling

# A nucleus is seldom wider; only when it is, the whole vocabulary is sorted.
_USUAL_NUCLEUS = 512


class Candidates(NamedTuple):
    """Tokens that may be drawn, likeliest first, and their probabilities, which sum to 1."""

    ids: Tensor
    probabilities: Tensor


def sample(logits_NV: Tensor, samplings: Sequence[Sampling], generators: Sequence[random.Random]) -> list[int]:
    """The sampled tokens, one per row; the greedy rows together, the others each by its own rules."""
    tokens: list[int] = logits_NV.argmax(dim=-1).tolist()
    for row, (sampling, generator) in enumerate(zip(samplings, generators, strict=True)):
        if sampling.temperature > 0:
            tokens[row] = draw(candidates(logits_NV[row], sampling), generator)
    return tokens


def candidates(logits_V: Tensor, sampling: Sampling) -> Candidates:
    """The part of the vocabulary that is left after temperature, top-k and top-p."""
    # The largest logit becomes 0 first, or a tiny temperature overflows.
    scaled_V = (logits_V.float() - logits_V.max()) / sampling.temperature
    vocab_size = scaled_V.shape[0]
    top_k = min(sampling.top_k or vocab_size, vocab_size)
    if top_k < vocab_size:
        scaled_C, ids_C = scaled_V.topk(top_k)
        return _nucleus(ids_C, torch.softmax(scaled_C, dim=-1), sampling.top_p)
    probabilities_V = torch.softmax(scaled_V, dim=-1)
    if sampling.top_p < 1 and vocab_size > _USUAL_NUCLEUS:
        likeliest_C, ids_C = probabilities_V.topk(_USUAL_NUCLEUS)
        if likeliest_C.sum() > sampling.top_p:
            return _nucleus(ids_C, likeliest_C, sampling.top_p)
    sorted_V, ids_V = probabilities_V.sort(descending=True, stable=True)
    return _nucleus(ids_V, sorted_V, sampling.top_p)


def draw(candidates: Candidates, generator: random.Random) -> int:
    """Draw a token, by a single number of the generator."""
    summed_C = candidates.probabilities.double().cumsum(0)
    index = int(torch.searchsorted(summed_C, generator.random() * float(summed_C[-1]), right=True))
    return int(candidates.ids[min(index, len(candidates.ids) - 1)])


def _nucleus(ids_C: Tensor, probabilities_C: Tensor, top_p: float) -> Candidates:
    """Keep a token while those before it have not reached `top_p`."""
    if top_p < 1:
        before_C = probabilities_C.double().cumsum(0) - probabilities_C.double()
        num_kept = max(1, int((before_C < top_p).sum()))
        ids_C, probabilities_C = ids_C[:num_kept], probabilities_C[:num_kept]
    return Candidates(ids_C, probabilities_C / probabilities_C.sum())
