"""Several answers to one prompt: generations that differ in their seeds alone, made side by side.

The first has the seed that was asked for, so it is the answer that somebody who asks for one would get.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from outcrop.invocation.exchange import AnswerPiece, Finished
from outcrop.invocation.generate import Generation, RemoteInput, complete_text, stream_answer
from outcrop.invocation.target import TextTarget

_SEEDS = 2**31


def seeded(generation: Generation, num_answers: int) -> Sequence[Generation]:
    """The generation as it is, and others like it with the seeds that follow."""
    if isinstance(generation, RemoteInput):
        return [generation.another(number) for number in range(num_answers)]
    sampling = generation.sampling
    seed = sampling.seed
    assert seed is not None, "a generation that is planned has a seed"
    others = [(seed + number) % _SEEDS for number in range(1, num_answers)]
    return [generation, *(replace(generation, sampling=replace(sampling, seed=other)) for other in others)]


async def complete_several(target: TextTarget, generations: Sequence[Generation]) -> list[Finished]:
    """The whole answers, in order; the first failure ends them all."""
    if len(generations) == 1:
        return [await complete_text(target, generations[0])]
    return await together([complete_text(target, each) for each in generations])


async def together(works: Sequence[Awaitable[Any]]) -> list[Any]:
    """The results of works done side by side; the first failure, or leaving, ends them all."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _end(tasks)


async def stream_several(
    target: TextTarget, generations: Sequence[Generation]
) -> AsyncGenerator[tuple[int, AnswerPiece | Finished], None]:
    """Pieces of the answers as they are made, each with its number; the last of each is `Finished`.

    Closing the iterator ends all generations, and so does the first failure.
    """
    if len(generations) == 1:
        async with aclosing(stream_answer(target, generations[0])) as items:
            async for item in items:
                yield 0, item
        return
    # Of a few pieces: a slow reader keeps the engines waiting, as it does with one answer.
    told: asyncio.Queue[tuple[int, AnswerPiece | Finished | Exception]] = asyncio.Queue(2 * len(generations))
    tasks = [asyncio.ensure_future(_tell(told, number, target, each)) for number, each in enumerate(generations)]
    try:
        left = len(generations)
        while left:
            number, made = await told.get()
            if isinstance(made, Exception):
                raise made
            left -= isinstance(made, Finished)
            yield number, made
    finally:
        await _end(tasks)


def likeliest(answers: Sequence[Finished], num_kept: int) -> list[Finished]:
    """The answers with the highest mean log probability of a token, likeliest first.

    Log probabilities must have been asked for.
    """

    def mean(answer: Finished) -> float:
        told = [one.token.logprob for one in answer.logprobs]
        return sum(told) / len(told) if told else float("-inf")

    return sorted(answers, key=mean, reverse=True)[:num_kept]


async def _tell(told: "asyncio.Queue[Any]", number: int, target: TextTarget, generation: Generation) -> None:
    try:
        async with aclosing(stream_answer(target, generation)) as items:
            async for item in items:
                await told.put((number, item))
    except Exception as error:
        await told.put((number, error))


async def _end(tasks: Sequence["asyncio.Future[Any]"]) -> None:
    """End what still runs, even while this task is being cancelled: an engine holds what nobody ends."""
    for task in tasks:
        task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.gather(*tasks, return_exceptions=True)
