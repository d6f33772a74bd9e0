"""The text that an engine generates for a request in plain words.

Ids go in and come out; whole characters, stop sequences and retries are made here.

An engine that dies is started again within seconds, with the adapters it held. As long as nothing has been shown to
the caller, the request is simply put again, with the same seed; after that, the stream ends with an error.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from outcrop import logs
from outcrop.errors import ServiceRefusal
from outcrop.inference.client import EngineAway, GenerationRequest, UnknownAdapter
from outcrop.inference.request import Sampling
from outcrop.invocation import prompts
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, InvocationRequest
from outcrop.invocation.stopping import StopScanner
from outcrop.invocation.target import Target
from outcrop.invocation.text_logprobs import TextLogprob, TextLogprobs
from outcrop.tokens.tokenizer import IncrementalDecoder

PATIENCE_S = 60.0
_RETRY_EVERY_S = 0.5
_RETRY_FIRST_S = 0.05
"At first more often: an engine may be there in a moment."
_SEEDS = 2**31
_log = logging.getLogger("outcrop.invocation")


@dataclass(frozen=True, kw_only=True)
class GenerateInput:
    """A generation, decided to the last number: the same value gives the same text on the same engine."""

    prompt_ids: list[int]
    max_tokens: int
    sampling: Sampling
    "With a seed."
    stop_sequences: tuple[str, ...]
    stop_ids: tuple[int, ...]
    full_context: bool
    "max_tokens is what the context has left, less than was asked for."
    logprobs: int | None
    "How many of the likeliest tokens are told with each; None: no log probabilities."


@dataclass(frozen=True, kw_only=True)
class TextDelta:
    """Some more text. The last delta, and only it, has `finish`."""

    text: str
    num_tokens: int
    "Tokens generated so far."
    finish: Finish | None = None
    stop_sequence: str | None = None
    logprobs: tuple[TextLogprob, ...] = ()
    "Of the tokens that begin in this text, where they were asked for."
    num_cached: int = 0
    "Of the last: tokens of the prompt that the engine had read before, for others."


def plan(target: Target, asked: InvocationRequest) -> GenerateInput:
    """The generation that answers `asked`. Raises Invalid when the prompt leaves no room for an answer."""
    prompt_ids = prompts.encode_fitting(target, asked.prompt)
    room = target.context_length - len(prompt_ids)
    sampling = asked.sampling
    wanted = min(sampling.max_tokens or target.max_output_tokens, target.max_output_tokens)
    return GenerateInput(
        prompt_ids=prompt_ids,
        max_tokens=min(wanted, room),
        sampling=sampling.of_tokens(otherwise_seed=secrets.randbelow(_SEEDS)),
        stop_sequences=sampling.stop_sequences,
        stop_ids=prompts.stop_ids(target, asked.prompt),
        full_context=room < wanted,
        logprobs=sampling.logprobs,
    )


async def plan_aside(target: Target, asked: InvocationRequest) -> GenerateInput:
    """Plan a generation in a thread, with `plan`.

    Other requests stream meanwhile, and long prompts wait for long prompts only.
    """
    return await prompts.aside(asked.prompt, lambda: plan(target, asked))


async def stream_text(
    target: Target, generation: GenerateInput, *, patience_s: float = PATIENCE_S
) -> AsyncGenerator[TextDelta, None]:
    """Text as it is made, none of it from a stop sequence on; closing the iterator aborts the generation.

    Raises EngineAway when the engine stays away before the first text, and ModelStreamErrorException after it.
    """
    patience = _Patience(patience_s, target)
    shown = False
    while True:
        try:
            async with aclosing(_attempt(target, generation)) as deltas:
                async for delta in deltas:
                    if not shown:
                        patience.is_over()
                    shown = True
                    yield delta
            return
        except (EngineAway, UnknownAdapter) as problem:
            if shown:
                raise _broken_stream(problem) from problem
            await patience.wait(problem)


async def complete_text(target: Target, generation: GenerateInput, *, patience_s: float = PATIENCE_S) -> Finished:
    """The whole answer; when the engine dies in the middle, the request is put again from the start."""
    patience = _Patience(patience_s, target)
    while True:
        try:
            async with aclosing(_attempt(target, generation)) as attempt:
                deltas = [delta async for delta in attempt]
            patience.is_over()
            return finished(deltas)
        except (EngineAway, UnknownAdapter) as problem:
            await patience.wait(problem)


async def stream_answer(
    target: Target, generation: GenerateInput, *, patience_s: float = PATIENCE_S
) -> AsyncGenerator[AnswerPiece | Finished, None]:
    """The answer piece by piece, and then as a whole: the last item, and only it, is `Finished`."""
    told: list[TextDelta] = []
    async with aclosing(stream_text(target, generation, patience_s=patience_s)) as deltas:
        async for delta in deltas:
            if delta.text or delta.logprobs:
                yield AnswerPiece(
                    text=delta.text,
                    num_output_tokens=delta.num_tokens,
                    first=not any(before.text for before in told),
                    logprobs=delta.logprobs,
                )
            told.append(delta)
            if delta.finish is not None:
                yield finished(told)


def finished(deltas: Sequence[TextDelta]) -> Finished:
    """The whole answer, from all of its deltas."""
    last = deltas[-1]
    assert last.finish is not None, "a generation ended without saying why"
    return Finished(
        text="".join(delta.text for delta in deltas),
        num_output_tokens=last.num_tokens,
        finish=last.finish,
        stop_sequence=last.stop_sequence,
        logprobs=tuple(one for delta in deltas for one in delta.logprobs),
        num_cached=last.num_cached,
    )


class _Patience:
    """Waits for an engine that is being started, up to a limit for the whole request. The log tells of it.

    The caller's latency holds the wait, as it must: nothing else tells why a first call takes as long as a start.
    """

    def __init__(self, limit_s: float, target: Target) -> None:
        self._began = asyncio.get_running_loop().time()
        self._limit_s = limit_s
        self._target = target
        self._waiting = False

    async def wait(self, problem: Exception) -> None:
        waited = self._waited_s()
        pause = min(_RETRY_EVERY_S, max(_RETRY_FIRST_S, waited / 10))
        if waited + pause > self._limit_s:
            raise problem
        if not self._waiting:
            self._waiting = True
            self._tell("waits for an engine")
        await asyncio.sleep(pause)

    def is_over(self) -> None:
        if self._waiting:
            self._tell("waited for an engine", seconds=round(self._waited_s(), 3))

    def _tell(self, event: str, **members: Any) -> None:
        logs.tell(_log, event, model=self._target.model_id, engine=self._target.base_id, **members)

    def _waited_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began


async def _attempt(target: Target, generation: GenerateInput) -> AsyncGenerator[TextDelta, None]:
    """The deltas of one generation; those without text are left out, except the last."""
    decoder = IncrementalDecoder(target.tokenizer)
    scanner = StopScanner(generation.stop_sequences)
    logprobs = TextLogprobs(target.tokenizer)
    text, num_tokens, num_cached = "", 0, 0
    reason: str | None = None
    async with aclosing(target.client.generate(_request(target, generation))) as deltas:
        async for delta in deltas:
            ids, reason, of_ids, cached = delta
            num_cached = max(num_cached, cached)
            num_tokens += len(ids)
            for one in of_ids:
                if not _ends_or_is_special(target, generation, one.token):
                    logprobs.add(one)
            text = _scanned(target, generation, decoder, scanner, ids)
            if scanner.met is not None or reason is not None:
                break
            if text:
                yield TextDelta(text=text, num_tokens=num_tokens, logprobs=logprobs.with_text(text))
                text = ""
    text += scanner.push(decoder.finish()) + scanner.finish()
    yield TextDelta(
        text=text,
        num_tokens=num_tokens,
        finish=_finish(reason, scanner, generation),
        stop_sequence=scanner.met,
        logprobs=logprobs.with_text(text) + (logprobs.rest() if scanner.met is None else ()),
        num_cached=num_cached,
    )


def _scanned(
    target: Target, generation: GenerateInput, decoder: IncrementalDecoder, scanner: StopScanner, ids: Iterable[int]
) -> str:
    """Text that may be shown; special tokens, and those that end an answer, may only complete a stop sequence."""
    text = ""
    for one in ids:
        if _ends_or_is_special(target, generation, one):
            text += scanner.push(target.tokenizer.token(one) or "", special=True)
        else:
            text += scanner.push(decoder.push([one]))
    return text


def _ends_or_is_special(target: Target, generation: GenerateInput, token: int) -> bool:
    return token in target.tokenizer.special_ids or token in generation.stop_ids


def _request(target: Target, generation: GenerateInput) -> GenerationRequest:
    return GenerationRequest(
        model=target.engine_model,
        prompt_ids=generation.prompt_ids,
        max_tokens=generation.max_tokens,
        sampling=generation.sampling,
        stop_token_ids=generation.stop_ids,
        logprobs=generation.logprobs,
        background=target.background,
    )


def _finish(reason: str | None, scanner: StopScanner, generation: GenerateInput) -> Finish:
    if scanner.met is not None:
        return Finish.STOP_SEQUENCE
    if reason == "length":
        return Finish.CONTEXT if generation.full_context else Finish.MAX_TOKENS
    return Finish.END


def _broken_stream(problem: Exception) -> ServiceRefusal:
    return ServiceRefusal(
        "ModelStreamErrorException",
        f"The engine went away in the middle of the answer. Send the request again. ({problem})",
        http_status=424,
    )
