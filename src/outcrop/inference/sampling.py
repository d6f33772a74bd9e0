"""The next token from logits: penalties, then greedy at temperature 0, else temperature, top-k, top-p and min-p.

The order is that of `transformers`. Bias comes first; presence and frequency count what was generated, as vLLM has it.
A form of answers leaves only some tokens, after penalties and before the rest.

A request draws from its own generator, one number per token, so its answer depends on its seed and not on who else is
in the batch.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from outcrop.inference.grammars import AllowedIds
from outcrop.inference.request import Sampling, TokenLogprob

# A nucleus is seldom wider; only when it is, the whole vocabulary is sorted.
_USUAL_NUCLEUS = 512


class Candidates(NamedTuple):
    """Tokens that may be drawn, likeliest first, and their probabilities, which sum to 1."""

    ids: Tensor
    probabilities: Tensor


class SamplingRow(NamedTuple):
    """How the next token of one sequence is chosen."""

    sampling: Sampling
    generator: random.Random
    ids: Sequence[int]
    "The prompt and what was generated."
    num_generated: int
    allowed: AllowedIds | None = None
    "The ids that the form of the answer leaves; None: all."


def sample(logits_NV: Tensor, rows: Sequence[SamplingRow]) -> list[int]:
    """The sampled tokens, one per row; the plain greedy rows together, the others each by its own rules."""
    tokens: list[int] = logits_NV.argmax(dim=-1).tolist()
    for number, row in enumerate(rows):
        if row.sampling.changes_logits:
            logits_V = changed(logits_NV[number], row)
            tokens[number] = int(logits_V.argmax())
        else:
            logits_V = logits_NV[number]
        if row.allowed is not None:
            tokens[number] = _sampled_of(row.allowed, logits_V, row, likeliest=tokens[number])
        elif row.sampling.temperature > 0:
            tokens[number] = draw(candidates(logits_V, row.sampling), row.generator)
    return tokens


def _sampled_of(allowed: AllowedIds, logits_V: Tensor, row: SamplingRow, *, likeliest: int) -> int:
    """The sampled token among those that may come."""
    greedy = row.sampling.temperature == 0
    if greedy and allowed[likeliest]:
        return likeliest
    ids_A = torch.from_numpy(np.flatnonzero(allowed)).to(logits_V.device)
    logits_A = logits_V.index_select(0, ids_A)
    return int(ids_A[logits_A.argmax() if greedy else draw(candidates(logits_A, row.sampling), row.generator)])


def logprob_of(token: int, logits_V: Tensor, num_likeliest: int | None) -> TokenLogprob | None:
    """The log probability of a token that was taken, beside some of the likeliest; None where none is asked for."""
    if num_likeliest is None:
        return None
    logprobs_V = torch.log_softmax(logits_V.float(), dim=-1)
    if not num_likeliest:
        return TokenLogprob(token, float(logprobs_V[token]))
    logprobs_K, ids_K = logprobs_V.topk(min(num_likeliest, len(logprobs_V)))
    likeliest = tuple(zip(ids_K.tolist(), logprobs_K.tolist(), strict=True))
    return TokenLogprob(token, float(logprobs_V[token]), likeliest)


def changed(logits_V: Tensor, row: SamplingRow) -> Tensor:
    """The logits with bias and penalties, in 32 bits."""
    sampling, changed_V = row.sampling, logits_V.float().clone()
    if sampling.logit_bias:
        ids_B = torch.tensor(list(sampling.logit_bias))
        changed_V[ids_B] += torch.tensor(list(sampling.logit_bias.values()))
    if sampling.repetition_penalty != 1:
        seen_S = torch.tensor(sorted(set(row.ids)))
        of_seen_S, penalty = changed_V[seen_S], sampling.repetition_penalty
        changed_V[seen_S] = torch.where(of_seen_S > 0, of_seen_S / penalty, of_seen_S * penalty)
    if row.num_generated and (sampling.presence_penalty or sampling.frequency_penalty):
        times = Counter(row.ids[-row.num_generated :])
        times_M = torch.tensor(list(times.values()))
        changed_V[torch.tensor(list(times))] -= sampling.presence_penalty + sampling.frequency_penalty * times_M
    return changed_V


def candidates(logits_V: Tensor, sampling: Sampling) -> Candidates:
    """The part of the vocabulary that is left after temperature, top-k, top-p and min-p."""
    # The largest logit becomes 0 first, or a tiny temperature overflows.
    scaled_V = (logits_V.float() - logits_V.max()) / sampling.temperature
    vocab_size = scaled_V.shape[0]
    top_k = min(sampling.top_k or vocab_size, vocab_size)
    if top_k < vocab_size:
        scaled_C, ids_C = scaled_V.topk(top_k)
        return _kept(ids_C, torch.softmax(scaled_C, dim=-1), sampling)
    probabilities_V = torch.softmax(scaled_V, dim=-1)
    if sampling.top_p < 1 and vocab_size > _USUAL_NUCLEUS:
        likeliest_C, ids_C = probabilities_V.topk(_USUAL_NUCLEUS)
        if likeliest_C.sum() > sampling.top_p:
            return _kept(ids_C, likeliest_C, sampling)
    sorted_V, ids_V = probabilities_V.sort(descending=True, stable=True)
    return _kept(ids_V, sorted_V, sampling)


def draw(candidates: Candidates, generator: random.Random) -> int:
    """Draw a token, by a single number of the generator."""
    summed_C = candidates.probabilities.double().cumsum(0)
    index = int(torch.searchsorted(summed_C, generator.random() * float(summed_C[-1]), right=True))
    return int(candidates.ids[min(index, len(candidates.ids) - 1)])


def _kept(ids_C: Tensor, probabilities_C: Tensor, sampling: Sampling) -> Candidates:
    """Keep a token while those before it have not reached `top_p`, and while it is likely enough for `min_p`."""
    top_p = sampling.top_p
    if top_p < 1:
        before_C = probabilities_C.double().cumsum(0) - probabilities_C.double()
        num_kept = max(1, int((before_C < top_p).sum()))
        ids_C, probabilities_C = ids_C[:num_kept], probabilities_C[:num_kept]
    if sampling.min_p > 0:
        num_kept = int((probabilities_C >= sampling.min_p * probabilities_C[0]).sum())
        ids_C, probabilities_C = ids_C[:num_kept], probabilities_C[:num_kept]
    return Candidates(ids_C, probabilities_C / probabilities_C.sum())
