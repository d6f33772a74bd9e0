"""The reference answers of a network: those of `transformers`, each record alone.

Shapes: T tokens of a record, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from outcrop.network import load
from outcrop.network.attention import Packed
from outcrop.network.facts import Facts

CLOSE = {torch.float32: 1e-4, torch.bfloat16: 4e-2, torch.float16: 8e-3}
"How far apart two ways to one logit may be, as a share of the largest: rounding, in a network of many layers."
_LENGTHS = (21, 9, 14)
_PROMPTS = (6, 19)
_LONGEST = 160
"Tokens of a record that shall cross a window; longer windows cost more than they would show."
NUM_GREEDY = 6


ANOTHER = "Choose a model of another family; docs/families.md lists those that work."


class ProbeFailure(Exception):  # not an error: what the probe is there to find
    """A finding of the probe: something that a network shall do and does not, and how to mend it."""

    def __init__(self, what: str, mend: str = ANOTHER) -> None:
        super().__init__(what)
        self.mend = mend


class GreedyContinuation(NamedTuple):
    """The likeliest continuation of a prompt, token by token."""

    prompt: list[int]
    ids: list[int]
    leads: list[float]
    "By how much the logit of each is greater than that of the next likeliest."


class ReferenceAnswers(NamedTuple):
    """The logits and greedy tokens that `transformers` gives on one network."""

    records: list[list[int]]
    logits: list[Tensor]
    "Of each record, TV in fp32 on the CPU."
    greedy: list[GreedyContinuation]
    allowed: float
    "How far a logit may be from these."

    @property
    def nll(self) -> list[Tensor]:
        """The loss of each record's tokens after the first (nats)."""
        pairs = zip(self.records, self.logits, strict=True)
        return [cross_entropy(x_TV[:-1], torch.tensor(ids[1:]), reduction="none") for ids, x_TV in pairs]


@torch.inference_mode()
def of_reference(network: nn.Module, described: Facts) -> ReferenceAnswers:
    """Raises Failed for a network that is no causal language model, or does not say the same twice."""
    records, prompts = _texts(network, described)
    logits = [_logits(network, ids) for ids in records]
    if not all(bool(x_TV.isfinite().all()) for x_TV in logits):
        raise ProbeFailure("its logits are not finite")
    dtype = next(network.parameters()).dtype
    allowed = CLOSE[dtype] * max(float(x_TV.abs().max()) for x_TV in logits)
    again = [_logits(network, ids) for ids in records]
    if (apart := furthest(logits, again)) > allowed:
        raise ProbeFailure(f"asked the same twice, it answers otherwise: logits differ by {apart:.2g}")
    _demand_causal(network, records, logits, allowed)
    return ReferenceAnswers(records, logits, [_greedy(network, prompt) for prompt in prompts], allowed)


def furthest(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference of two lists of logits; infinite where one is no number."""
    apart = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    return apart if apart == apart else float("inf")


def _demand_causal(network: nn.Module, records: list[list[int]], logits: list[Tensor], allowed: float) -> None:
    for ids, x_TV in zip(records, logits, strict=True):
        for changed in (1, len(ids) // 2):
            kept = ids[:-changed]
            other = kept + [records[0][0] if one != records[0][0] else records[0][1] for one in ids[-changed:]]
            apart = float((_logits(network, other)[: len(kept)] - x_TV[: len(kept)]).abs().max())
            if not apart <= allowed:
                raise ProbeFailure(
                    f"its attention is not causal: with other last tokens, logits before them change by {apart:.2g} "
                    f"(rounding allows {allowed:.1g})"
                )


def _greedy(network: nn.Module, prompt: list[int]) -> GreedyContinuation:
    ids, leads = list(prompt), list[float]()
    for _ in range(NUM_GREEDY):
        likeliest = _logits(network, ids)[-1].topk(2)
        best, second = likeliest.values.tolist()
        leads.append(best - second)
        ids.append(int(likeliest.indices[0]))
    return GreedyContinuation(prompt, ids[len(prompt) :], leads)


def _logits(network: nn.Module, ids: Sequence[int]) -> Tensor:
    layout = Packed(lengths=[len(ids)])
    row = torch.tensor([list(ids)]), layout.positions(), layout
    return load.logits(network, *row, at_N=torch.arange(len(ids))).float().cpu()


def _texts(network: Any, described: Facts) -> tuple[list[list[int]], list[list[int]]]:
    """Records and prompts of ids that are nothing special, always the same. Some records are longer than a window."""
    crossing = [window + 9 for window in described.windows if window + 9 <= _LONGEST]
    most = described.context if described.has_context else _LONGEST
    lengths = [min(length, most) for length in (max([_LENGTHS[0], *crossing]), *_LENGTHS[1:])]
    prompts = [min(length, most - NUM_GREEDY) for length in (*_PROMPTS, *(length - 4 for length in crossing[:1]))]
    num_ids = int(network.get_input_embeddings().weight.shape[0])
    special = {value for name, value in described.named.items() if name.endswith("token_id") and isinstance(value, int)}
    usual = torch.tensor([n for n in range(min(num_ids, 50_000)) if n not in special and n > 2] or [0])
    generator = torch.Generator().manual_seed(0)

    def drawn(length: int) -> list[int]:
        return usual[torch.randint(len(usual), (max(1, length),), generator=generator)].tolist()

    return [drawn(length) for length in lengths], [drawn(length) for length in prompts]
