"""Train equals serve: a custom model is let in only when its serving engine agrees with the trainer.

The trainer leaves `parity.json` beside the weights (`network/parity_file.py`): log probabilities of held-out records,
and greedy answers to held-out prompts. The engine scores the same records, and answers the same prompts in each way in
which it decodes: alone, with the prompt read in parts, and beside a longer neighbour.
"""

import itertools
import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from outcrop.engines.protocol import ServingEngine
from outcrop.errors import ModelDamaged
from outcrop.inference.client import GreedyAnswer
from outcrop.json_files import FileProblem
from outcrop.keys.sealed_folder import PLAIN, OpenedKeys
from outcrop.network import parity_file
from outcrop.network.parity_file import FILE, Generation, ParityRecord

_ROUNDOFF = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8, "int8": 2.0**-8}
"Half the distance of 1 from the next number: the relative error of one rounding. Of int8 that of its largest weights."
_ROUNDINGS = {"float32": 256.0, "float16": 16.0, "bfloat16": 16.0, "int8": 16.0}
"""Errors of that size, as a share of the largest logit, that trainer and engine may differ by at one token. Measured on
networks of 2 to 30 layers (docs/reliability.md): up to 19 between fp32, which rounds each of the additions of a
product, and fp64; up to 8 between two orders of additions in 16 bits, which round their result."""
_OF_THE_MEAN = 8
"On the mean over many tokens so much less is allowed: single tokens err most, and a wrong mask or scale errs at all."
_PARTS = 3
"Into which a prompt is cut."
_LONGER = 13
"Tokens by which a neighbour's prompt is longer: more than any chunk of three of a short prompt, and no multiple."


class ServingPath(Enum):
    """How a prompt is answered."""

    ALONE = "alone"
    IN_PARTS = "with the prompt read in parts"
    BESIDE = "beside a longer neighbour"


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the two lie apart."""

    num_tokens: int
    largest_difference: float
    "Of one token,"
    largest_mean: float
    "and of all tokens of the records, or of one answer."
    tolerance: float
    wrong_token: str | None = None
    "What the engine generated and the trainer would not have."

    @property
    def failure(self) -> str | None:
        """Why the model may not be served, or None."""
        if self.num_tokens == 0:
            return (
                f"{FILE} holds no token to compare, so the engine cannot be shown to serve what was trained. "
                "Train the model anew."
            )
        if self.wrong_token is not None:
            return f"{self.wrong_token} Its answers would not be those of the trained model."
        if not self.largest_difference <= self.tolerance:  # so written that NaN fails too
            return _differs("", self.largest_difference, self.tolerance)
        if not self.largest_mean <= self.tolerance / _OF_THE_MEAN:
            return _differs(" in the mean", self.largest_mean, self.tolerance / _OF_THE_MEAN)
        return None


def _differs(how: str, found: float, allowed: float) -> str:
    return (
        f"the engine's log probabilities differ from the trainer's by {found:.2g} nats{how} (allowed {allowed:.2g}) on "
        "held-out records. Its answers would not be those of the trained model."
    )


def tolerance(expected: ParityRecord, served_in: str | None) -> float:
    """How far apart two log probabilities may be (nats) because numbers are rounded, in the coarser of the two types.

    Rounding errs by a share of the numbers that are added, which the largest logit stands for. An engine that does not
    say in what it computes is taken to do so as the trainer did; a type that is not known here, for the coarsest.
    """
    coarsest = max(_ROUNDOFF, key=_ROUNDOFF.__getitem__)
    types = [name if name in _ROUNDOFF else coarsest for name in (expected.dtype, served_in or expected.dtype)]
    return max(1.0, expected.largest_logit) * max(_ROUNDOFF[name] * _ROUNDINGS[name] for name in types)


async def compare(client: ServingEngine, model: str, folder: Path, keys: OpenedKeys = PLAIN) -> Parity:
    """Compare what the engine computes with what the trainer expects. The engine must hold `model`: an adapter, or its
    own base. `keys` are those of a sealed `folder`.

    Raises ModelDamaged.
    """
    try:
        expected = parity_file.read(folder, keys.open)
    except FileProblem as problem:
        raise ModelDamaged(
            f"The files of the custom model are damaged: {problem}. Restore its folder from a backup, or import or "
            "train it again."
        ) from problem
    allowed = tolerance(expected, await client.dtype())
    scored: list[float] = []
    for sample in expected.samples:
        served = await client.score(model, list(sample.ids))
        scored += [abs(ours - theirs) for ours, theirs in zip(sample.logprobs, served, strict=True)]
    groups, wrong = [scored], None
    for generation, way in itertools.product(expected.generations, ServingPath):
        try:
            groups.append([d async for d in _differences(client, model, generation, way, allowed)])
        except _WrongToken as problem:
            wrong = wrong or str(problem)
    means = [sum(group) / len(group) for group in groups if group]
    return Parity(
        num_tokens=sum(map(len, groups)),
        largest_difference=_largest([d for group in groups for d in group]),
        largest_mean=_largest(means),
        tolerance=allowed,
        wrong_token=wrong,
    )


def _largest(differences: Sequence[float]) -> float:
    """NaN, if one of them is."""
    return math.nan if any(map(math.isnan, differences)) else max(differences, default=0.0)


class _WrongToken(Exception):
    """Its text is a sentence."""


async def _differences(
    client: ServingEngine, model: str, generation: Generation, way: ServingPath, allowed: float
) -> AsyncGenerator[float, None]:
    """The absolute difference between the engine's and the trainer's log probability of each generated token.

    Greedy decoding takes another token where two are nearly as likely: each side may be off by `allowed`, so a token
    whose log probability, by the trainer, is within twice that of the best is none the worse. From there on the
    trainer's own answer is put to the engine. Raises _WrongToken for any other token.
    """
    done = 0
    while done < len(generation.ids):
        answer = await _answer(client, model, generation, done, way)
        for token, logprob in zip(answer.token_ids, answer.logprobs, strict=True):
            known = generation.logprob_of(done, token)
            if known is None or not generation.logprobs[done] - known <= 2 * allowed:
                raise _WrongToken(_sentence(generation, done, token, way))
            yield abs(logprob - known)
            done += 1
            if token != generation.ids[done - 1]:
                break


async def _answer(
    client: ServingEngine, model: str, generation: Generation, done: int, way: ServingPath
) -> GreedyAnswer:
    """The engine's continuation of the prompt and the first `done` tokens of the trainer's answer."""
    ids = [*generation.prompt, *generation.ids[:done]]
    prompts, per_step = [ids], None
    if way is ServingPath.IN_PARTS:
        per_step = max(1, len(ids) // _PARTS)
    if way is ServingPath.BESIDE:
        prompts = [ids, _longer(ids)]
    num = len(generation.ids) - done
    return (await client.answer_greedily(model, prompts, num_tokens=num, prompt_tokens_per_step=per_step))[0]


def _longer(ids: Sequence[int]) -> list[int]:
    """A prompt of other tokens in another order, all of which the model knows."""
    return [ids[-1 - place % len(ids)] for place in range(len(ids) + _LONGER)]


def _sentence(generation: Generation, at: int, token: int, way: ServingPath) -> str:
    known = generation.logprob_of(at, token)
    least = generation.rivals[at][-1].logprob if generation.rivals[at] else generation.logprobs[at]
    beside = f"{known:.2f}" if known is not None else f"less than {least:.2f}"
    return (
        f"the engine generates the token {token} at place {at + 1} of its answer to a held-out prompt, {way.value}, "
        f"where the trainer's network gives {generation.ids[at]} (log probabilities by the trainer: {beside}, and "
        f"{generation.logprobs[at]:.2f})."
    )
