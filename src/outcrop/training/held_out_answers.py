"""A few held-out prompts, the same at every evaluation, and their answers: what a loss cannot show.

Greedy tokens of the network as it stands, with the keys and values of what was read remembered. Nothing of the run
reads what this computes, and it draws nothing at random: losses and weights are, digit for digit, those of a run that
answers nothing. It may take a twentieth of the run's time; an evaluation for which that is used up has no answers. A
network that takes one record a row is not asked, since it cannot go on from what it has read.

Shapes: H query heads, K key/value heads, T tokens of a row, S remembered and new tokens, D head width, N sequences,
V tokens known.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from outcrop.network import load
from outcrop.network.adapters.linear import AdapterSpan
from outcrop.network.attention import Scoring, SequenceSpan, attend_causal
from outcrop.network.run_mode import RunMode
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.examples import Example
from outcrop.training.metrics import HeldOutAnswer
from outcrop.training.stepping import Trained

PROMPTS = 3
PROMPT_TOKENS = 256
"A record with a longer prompt is not asked: cut, it would be another question."
TEXT_TOKENS = 48
"Of a text without a prompt, the beginning that is gone on from."
ANSWER_TOKENS = 40
_EXPECTED_TOKENS = 120
SHARE = 0.05
_AT_ONCE_S = 1.0
"May be used before there is any time to have a share of."


class AskedPrompt(NamedTuple):
    """A prompt as token ids, and what its record goes on with."""

    ids: tuple[int, ...]
    expected: tuple[int, ...]


class HeldOutPrompts:
    """The prompts of one run, and the time that their answers have taken."""

    def __init__(
        self, prompts: Sequence[AskedPrompt], tokenizer: Tokenizer, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._prompts = prompts
        self._tokenizer = tokenizer
        self._now = now
        self._began = now()
        self._spent_s = self._longest_s = 0.0

    def answers(self, trained: Trained) -> list[HeldOutAnswer]:
        """The answers by the weights as they are; none where their time is used up."""
        began = self._now()
        if self._spent_s + self._longest_s > _AT_ONCE_S + SHARE * (began - self._began):
            return []
        found = greedy(trained, [prompt.ids for prompt in self._prompts], ends=frozenset(self._tokenizer.eos_ids))
        took = self._now() - began
        self._spent_s, self._longest_s = self._spent_s + took, max(self._longest_s, took)
        decode = self._tokenizer.decode
        return [
            HeldOutAnswer(prompt=decode(prompt.ids), expected=decode(prompt.expected), answer=decode(ids))
            for prompt, ids in zip(self._prompts, found, strict=True)
        ]


def prompts_of(examples: Sequence[Example], *, context_length: int) -> list[AskedPrompt]:
    """The first different prompts of these examples that are short enough to be asked whole."""
    found: dict[tuple[int, ...], AskedPrompt] = {}
    for example in examples:
        prompt = _prompt(example)
        if len(prompt.ids) + ANSWER_TOKENS <= context_length and len(prompt.ids) <= PROMPT_TOKENS:
            found.setdefault(prompt.ids, prompt)
        if len(found) == PROMPTS:
            break
    return list(found.values())


def can_answer(trained: Trained) -> bool:
    """Whether this network can go on from what it has read, in this process alone."""
    return load.way_of(trained.network) is RunMode.PACKED and not trained.weights.is_sharded


@torch.inference_mode()
def greedy(trained: Trained, prompts: Sequence[Sequence[int]], *, ends: frozenset[int]) -> list[list[int]]:
    """The likeliest tokens after each prompt, up to where it ends by itself; all prompts go on side by side."""
    answers: list[list[int]] = [[] for _ in prompts]
    remembered = _Remembered(len(prompts))
    pieces = [list(prompt) for prompt in prompts]
    for _ in range(ANSWER_TOKENS):
        logits_NV = _next(trained, remembered, pieces)
        pieces = [[] for _ in prompts]
        for number, token in zip(remembered.read, logits_NV.argmax(-1).tolist(), strict=True):
            if token not in ends:
                answers[number].append(token)
                pieces[number] = [token]
        if not any(pieces):
            break
    return answers


def _next(trained: Trained, remembered: "_Remembered", pieces: Sequence[Sequence[int]]) -> Tensor:
    """Logits after the last new token of each sequence that has any."""
    positions_1T = remembered.begin([len(piece) for piece in pieces])
    ids = [token for piece in pieces for token in piece]
    trained.routing.spans = [AdapterSpan(0, len(ids), trained.adapter)]
    at_N = torch.tensor([span.end - 1 for span in remembered.sequences()])
    return load.logits(trained.network, torch.tensor([ids]), positions_1T, remembered, at_N=at_N).float()


class _Remembered:
    """A layout of sequences that go on from row to row: keys and values of what was read are kept."""

    def __init__(self, num: int) -> None:
        self._lengths = [0] * num
        self._kept: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        "By layer and sequence: k_KSD and v_KSD."
        self.read: list[int] = []
        "The sequences of the row."
        self._spans: list[SequenceSpan] = []

    def begin(self, new: Sequence[int]) -> Tensor:
        """A row of so many new tokens of each sequence: their positions, p_1T."""
        self.read, self._spans, positions, start = [], [], [], 0
        for number, count in enumerate(new):
            if count:
                positions.append(torch.arange(self._lengths[number], self._lengths[number] + count))
                self._lengths[number] += count
                self.read.append(number)
                self._spans.append(SequenceSpan(start, start + count, self._lengths[number]))
                start += count
        return torch.cat(positions).unsqueeze(0)

    def sequences(self) -> Sequence[SequenceSpan]:
        return self._spans

    def attend(self, layer: int, q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scoring: Scoring) -> Tensor:
        found = []
        for number, span in zip(self.read, self._spans, strict=True):
            k_KSD, v_KSD = k_KTD[:, span.start : span.end], v_KTD[:, span.start : span.end]
            before = self._kept.get((layer, number))
            if before is not None:
                k_KSD, v_KSD = torch.cat([before[0], k_KSD], dim=1), torch.cat([before[1], v_KSD], dim=1)
            self._kept[layer, number] = k_KSD, v_KSD
            found.append(attend_causal(q_HTD[:, span.start : span.end], k_KSD, v_KSD, scoring).transpose(0, 1))
        return torch.cat(found).transpose(0, 1)


def _prompt(example: Example) -> AskedPrompt:
    """The tokens before the first that is learned, and those learned after it; of a text, a beginning."""
    ids, at = example.ids_T.tolist(), example.at_N.tolist()
    before = at[0] + 1 if at else len(ids)
    if before <= 1:  # a text is learned from its start
        before = max(1, min(TEXT_TOKENS, len(ids) // 2))
        return AskedPrompt(tuple(ids[:before]), tuple(ids[before : before + _EXPECTED_TOKENS]))
    whole = next((number for number, place in enumerate(at) if place != at[0] + number), len(at))
    return AskedPrompt(tuple(ids[:before]), tuple(example.target_N[: min(whole, _EXPECTED_TOKENS)].tolist()))
