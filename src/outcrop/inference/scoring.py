"""Log probabilities of every token of a text, computed as the trainer computes them: one packed row, all at once.

The LM head runs over chunks of positions: all logits of a long text at once can be larger than the model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.inference.request import TokenLogprob
from outcrop.network import load
from outcrop.network.attention import Packed
from outcrop.network.run_mode import RunMode

_POSITIONS_PER_CHUNK = 256


def score(network: nn.Module, ids: Sequence[int]) -> list[float]:
    """Log probability of ids[1:], each given all before it. Adapters are routed by the caller."""
    return [one.logprob for one in score_tokens(network, ids, likeliest=0)]


@torch.inference_mode()
def score_tokens(network: nn.Module, ids: Sequence[int], *, likeliest: int) -> list[TokenLogprob]:
    """Log probability of ids[1:], each given all before it, and of so many likeliest tokens in its place."""
    if len(ids) < 2:
        return []
    device = next(network.parameters()).device
    ids_1T = torch.tensor([list(ids)], device=device)
    layout = Packed(lengths=[len(ids)])
    positions_1T = layout.positions().to(device)
    logprobs: list[TokenLogprob] = []
    if load.way_of(network) is not RunMode.PACKED:  # a family of its own need not have a decoder that runs by itself
        at_N = torch.arange(len(ids) - 1, device=device)
        logits_NV = load.logits(network, ids_1T, positions_1T, layout, at_N=at_N)
        return _of(logits_NV, ids_1T[0, 1:], likeliest)
    with _decoder_runs_once(network):
        for at_N in torch.split(torch.arange(len(ids) - 1, device=device), _POSITIONS_PER_CHUNK):
            logits_NV = load.logits(network, ids_1T, positions_1T, layout, at_N=at_N)
            logprobs += _of(logits_NV, ids_1T[0, at_N + 1], likeliest)
    return logprobs


def _of(logits_NV: Tensor, ids_N: Tensor, likeliest: int) -> list[TokenLogprob]:
    logprobs_NV = torch.log_softmax(logits_NV.float(), dim=-1)
    taken = logprobs_NV.gather(1, ids_N.unsqueeze(1)).squeeze(1).tolist()
    if not likeliest:
        return [TokenLogprob(token, logprob) for token, logprob in zip(ids_N.tolist(), taken, strict=True)]
    top = logprobs_NV.topk(likeliest, dim=-1)
    rows = zip(ids_N.tolist(), taken, top.indices.tolist(), top.values.tolist(), strict=True)
    return [TokenLogprob(token, own, tuple(zip(others, of_them, strict=True))) for token, own, others, of_them in rows]


@contextmanager
def _decoder_runs_once(network: nn.Module) -> Iterator[None]:
    """Within, the layers run at the first call and their result is remembered; only the head runs again.

    What stands between hidden states and logits differs by architecture (Gemma caps, Granite and Cohere scale), so the
    network's own forward is called for each chunk rather than imitated here.
    """
    decoder: Any = network.get_decoder()  # type: ignore[operator]
    run = decoder.forward
    remembered: list[Any] = []

    def forward(*arguments: Any, **keywords: Any) -> Any:
        if not remembered:
            remembered.append(run(*arguments, **keywords))
        return remembered[0]

    decoder.forward = forward
    try:
        yield
    finally:
        del decoder.forward
