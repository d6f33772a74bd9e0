"""The reference outputs that an engine must give to serve what was trained.

They are log probabilities and greedy tokens of the trainer's own network.

Each token is found by a plain forward over the whole text before it: nothing is remembered, read in parts, or shared
with a neighbour, so that no way of decoding is taken for granted.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from outcrop.network import load
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.attention import Packed
from outcrop.network.parity_file import Generation, ParityRecord, RunnerUp, Sample
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.loss import log_probabilities

RECORDS = 8
TOKENS = 512
"Of a record that is scored."
PROMPTS = 1
PROMPT_TOKENS = 48
"Of a prompt that is answered. One forward for each token of the answer: a fifth of what scoring the records takes."
GENERATED = 16
RIVALS = 7
ROOM = 2 * GENERATED
"That the context has beyond a prompt, for the answer and for a neighbour that is longer (`deployments/parity.py`)."


def of(
    network: nn.Module,
    routing: Routing,
    held_out: Sequence[Example],
    *,
    context_length: int,
    adapter: str = ADAPTER,
) -> ParityRecord:
    """On the first of the held-out records."""
    samples = [_sample(network, routing, example, adapter) for example in held_out[:RECORDS]]
    most = min(PROMPT_TOKENS, context_length - ROOM)
    prompts = list(dict.fromkeys(_prompt(example, most) for example in held_out)) if most > 0 else []
    answers = [_answer(network, routing, prompt, adapter) for prompt in prompts[:PROMPTS]]
    return ParityRecord(
        samples=samples,
        generations=[generation for generation, _ in answers],
        dtype=str(next(p.dtype for p in network.parameters() if p.is_floating_point())).removeprefix("torch."),
        largest_logit=max((largest for _, largest in answers), default=0.0),
    )


def forwards(lengths: Sequence[int]) -> list[int]:
    """Tokens of each forward pass that `of` takes about, on held-out records of these lengths."""
    scored = [min(length, TOKENS) for length in lengths[:RECORDS]]
    answered = [min(length, PROMPT_TOKENS) for length in lengths[:PROMPTS]]
    return scored + [prompt + place for prompt in answered for place in range(GENERATED)]


def _sample(network: nn.Module, routing: Routing, example: Example, adapter: str) -> Sample:
    ids = example.ids_T[:TOKENS].tolist()
    return Sample(ids=ids, logprobs=log_probabilities(network, routing, ids, adapter=adapter))


def _prompt(example: Example, most: int) -> tuple[int, ...]:
    """The tokens before the first one that is learned. Of a text, which is learned from its start, a half."""
    before = int(example.at_N[0]) + 1 if len(example.at_N) else len(example)
    num = before if before > 1 else max(1, len(example) // 2)
    return tuple(example.ids_T[: min(num, most)].tolist())


def _answer(network: nn.Module, routing: Routing, prompt: Sequence[int], adapter: str) -> tuple[Generation, float]:
    """Greedy tokens, and the largest logit on the way, whatever its sign."""
    ids, largest = list(prompt), 0.0
    found: list[list[RunnerUp]] = []
    for _ in range(GENERATED):
        logits_V = _next(network, routing, ids, adapter)
        largest = max(largest, float(logits_V.abs().max()))
        logprobs_C, ids_C = logits_V.log_softmax(-1).topk(min(1 + RIVALS, len(logits_V)))
        found.append([RunnerUp(*pair) for pair in zip(ids_C.tolist(), logprobs_C.tolist(), strict=True)])
        ids.append(found[-1][0].id)
    generation = Generation(
        prompt=prompt,
        ids=[first.id for first, *_ in found],
        logprobs=[first.logprob for first, *_ in found],
        rivals=[rivals for _, *rivals in found],
    )
    return generation, largest


@torch.inference_mode()
def _next(network: nn.Module, routing: Routing, ids: Sequence[int], adapter: str) -> Tensor:
    """Logits after the last of these, logits_V in fp32."""
    layout = Packed(lengths=[len(ids)])
    routing.spans = [AdapterSpan(0, len(ids), adapter)]
    at_N = torch.tensor([len(ids) - 1])
    return load.logits(network, torch.tensor([list(ids)]), layout.positions(), layout, at_N=at_N)[0].float()
