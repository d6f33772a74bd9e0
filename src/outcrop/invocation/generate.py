"""The text that an engine generates for a request in plain words.

Ids go in and come out; whole characters, stop sequences and retries are made here. A remote model is asked in words,
and its engine does all that itself: `plan_aside`, `complete_text` and `stream_answer` are where the two ways part.

An engine that dies is started again within seconds, with the adapters it held. As long as nothing has been shown to
the caller, the request is simply put again, with the same seed; after that, the stream ends with an error.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from outcrop import logs
from outcrop.errors import ServiceRefusal
from outcrop.inference.client import EngineAway, GenerationRequest, UnknownAdapter
from outcrop.inference.request import Sampling
from outcrop.invocation import prompts
from outcrop.invocation.answer_syntax import AnswerSyntax, syntax_of
from outcrop.invocation.answer_text import AnswerStretch, AnswerText
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, InvocationRequest, ToolCall
from outcrop.invocation.target import EncoderTarget, RemoteTarget, Target, TextEngine, TextTarget
from outcrop.invocation.text_logprobs import TextLogprob

_RETRY_EVERY_S = 0.5
_RETRY_FIRST_S = 0.05
_RETRY_SHARE = 0.2
"A wait becomes at most so much longer by asking now and then."
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
    syntax: AnswerSyntax = field(default_factory=AnswerSyntax)

    @property
    def num_input_tokens(self) -> int:
        return len(self.prompt_ids)


@dataclass(frozen=True, kw_only=True)
class RemoteInput:
    """A generation that a remote model is asked for in words; its server counts the tokens."""

    target: RemoteTarget
    asked: InvocationRequest

    def another(self, number: int) -> "RemoteInput":
        """Request for another answer: with another seed, where one was asked for."""
        sampling = self.asked.sampling
        if sampling.seed is None or not number:
            return self
        return replace(self, asked=replace(self.asked, sampling=replace(sampling, seed=sampling.seed + number)))

    def leaving(self) -> TextEngine:
        """The engine, for a request that leaves for it now."""
        self.target.tell_sent(self.target.host)
        return self.target.engine

    @property
    def num_input_tokens(self) -> int:
        """0: nobody here knows, before the answer has ended."""
        return 0

    @property
    def max_tokens(self) -> int:
        """The limit that was asked for; 0 where that is left to the model."""
        return self.asked.sampling.max_tokens or 0


Generation = GenerateInput | RemoteInput


@dataclass(frozen=True, kw_only=True)
class TextDelta:
    """Some more of an answer. The last delta, and only it, has `finish`."""

    text: str
    "None of a call."
    num_tokens: int
    "Tokens generated so far."
    finish: Finish | None = None
    stop_sequence: str | None = None
    logprobs: tuple[TextLogprob, ...] = ()
    "Of the tokens that begin in this text, where they were asked for."
    part: Literal["text", "reasoning", "tool"] = "text"
    call: ToolCall | None = None

    @property
    def shows(self) -> bool:
        """Whether there is something to show."""
        return bool(self.text) or self.call is not None


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
        syntax=syntax_of(target, asked, prompt_ids),
    )


async def plan_aside(target: TextTarget, asked: InvocationRequest) -> Generation:
    """Plan a generation in a thread, with `plan`; one of a remote model is only checked.

    Other requests stream meanwhile, and long prompts wait for long prompts only.
    """
    if isinstance(target, RemoteTarget):
        target.engine.check(asked)
        return RemoteInput(target=target, asked=asked)
    return await prompts.aside(asked.prompt, lambda: plan(target, asked))


async def stream_text(
    target: Target, generation: GenerateInput, *, patience_s: float | None = None
) -> AsyncGenerator[TextDelta, None]:
    """Text as it is made, none of it from a stop sequence on; closing the iterator aborts the generation.

    Raises EngineAway when the engine stays away before the first text, and ModelStreamErrorException after it.
    """
    patience = EnginePatience(target.patience_s if patience_s is None else patience_s, target)
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


async def complete_text(target: TextTarget, generation: Generation, *, patience_s: float | None = None) -> Finished:
    """The whole answer; when the engine dies in the middle, the request is put again from the start."""
    if isinstance(generation, RemoteInput):
        return await generation.leaving().complete(generation.asked)
    assert isinstance(target, Target), "what is planned in token ids is for an engine of this machine"
    patience = EnginePatience(target.patience_s if patience_s is None else patience_s, target)
    while True:
        try:
            async with aclosing(_attempt(target, generation)) as attempt:
                deltas = [delta async for delta in attempt]
            patience.is_over()
            return finished(deltas)
        except (EngineAway, UnknownAdapter) as problem:
            await patience.wait(problem)


async def stream_answer(
    target: TextTarget, generation: Generation, *, patience_s: float | None = None
) -> AsyncGenerator[AnswerPiece | Finished, None]:
    """The answer piece by piece, and then as a whole: the last item, and only it, is `Finished`."""
    if isinstance(generation, RemoteInput):
        async with aclosing(generation.leaving().stream(generation.asked)) as items:
            async for item in items:
                yield item
        return
    assert isinstance(target, Target), "what is planned in token ids is for an engine of this machine"
    told: list[TextDelta] = []
    blocks = _Blocks()
    async with aclosing(stream_text(target, generation, patience_s=patience_s)) as deltas:
        async for delta in deltas:
            if delta.shows or delta.logprobs:
                yield blocks.piece(delta, first=not any(before.shows for before in told))
            told.append(delta)
            if delta.finish is not None:
                yield finished(told)


def finished(deltas: Sequence[TextDelta]) -> Finished:
    """The whole answer, from all of its deltas."""
    last = deltas[-1]
    assert last.finish is not None, "a generation ended without saying why"
    blocks = _Blocks()
    for delta in deltas:
        if delta.shows:
            blocks.piece(delta, first=False)
    return Finished(
        text="".join(delta.text for delta in deltas if delta.part == "text"),
        num_output_tokens=last.num_tokens,
        finish=last.finish,
        stop_sequence=last.stop_sequence,
        logprobs=tuple(one for delta in deltas for one in delta.logprobs),
        reasoning="".join(delta.text for delta in deltas if delta.part == "reasoning"),
        tool_calls=tuple(delta.call for delta in deltas if delta.call is not None),
        num_blocks=max(1, blocks.number + 1),
    )


class _Blocks:
    """Counts the content blocks of an answer: each call is one, and so are words and thoughts that stand together."""

    def __init__(self) -> None:
        self.number = -1
        self._num_calls = 0
        self._part = ""

    def piece(self, delta: TextDelta, *, first: bool) -> AnswerPiece:
        """The piece of a block that a delta is."""
        opens = delta.part != self._part or delta.call is not None
        self.number += int(opens)
        self._part = delta.part
        call = delta.call
        index = self._num_calls
        self._num_calls += int(call is not None)
        return AnswerPiece(
            text=delta.text if call is None else json.dumps(call.arguments, ensure_ascii=False),
            num_output_tokens=delta.num_tokens,
            first=first,
            logprobs=delta.logprobs,
            part=delta.part,
            block=self.number,
            opens=opens,
            call_index=index if call is not None else 0,
            call_id=call.id if call is not None else "",
            call_name=call.name if call is not None else "",
        )


class EnginePatience:
    """Waits for an engine that is being started, up to a limit for the whole request. The log tells of it.

    The caller's latency holds the wait, as it must: nothing else tells why a first call takes as long as a start.
    """

    def __init__(self, limit_s: float, target: Target | EncoderTarget) -> None:
        self._began = asyncio.get_running_loop().time()
        self._limit_s = limit_s
        self._target = target
        self._waiting = False

    async def wait(self, problem: Exception) -> None:
        """Sleep a little. Raises the problem when the limit is reached."""
        waited_s = self._waited_s()
        # At first often: an engine that was only idle is there within a second.
        pause_s = min(_RETRY_EVERY_S, max(_RETRY_FIRST_S, waited_s * _RETRY_SHARE))
        if waited_s + pause_s > self._limit_s:
            raise problem
        if not self._waiting:
            self._waiting = True
            self._tell("waits for an engine")
        await asyncio.sleep(pause_s)

    def is_over(self) -> None:
        """Tell the log how long the request waited, if it did."""
        if self._waiting:
            self._tell("waited for an engine", seconds=round(self._waited_s(), 3))

    def _tell(self, event: str, **members: Any) -> None:
        logs.tell(_log, event, model=self._target.model_id, engine=self._target.base_id, **members)

    def _waited_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began


async def _attempt(target: Target, generation: GenerateInput) -> AsyncGenerator[TextDelta, None]:
    """The deltas of one generation; those that show nothing are left out, except the last."""
    answer = AnswerText(target.tokenizer, generation.syntax, generation.stop_sequences, generation.stop_ids)
    reason: str | None = None
    async with aclosing(target.client.generate(_request(target, generation))) as deltas:
        async for ids, reason, of_ids in deltas:
            answer.take(ids, of_ids)
            if answer.over or reason is not None:
                break
            for stretch in answer.stretches():
                yield _delta(answer, stretch)
    answer.end()
    stretches = answer.stretches()
    for stretch in stretches[:-1]:
        yield _delta(answer, stretch)
    last = stretches[-1] if stretches else None
    yield _delta(answer, last, finish=_finish(reason, answer, generation))


def _delta(answer: AnswerText, stretch: AnswerStretch | None, *, finish: Finish | None = None) -> TextDelta:
    return TextDelta(
        text=stretch.text if stretch else "",
        num_tokens=answer.num_tokens,
        finish=finish,
        stop_sequence=None if finish is None else answer.stop_sequence,
        logprobs=answer.logprobs(stretch, last=finish is not None),
        part=stretch.part if stretch else "text",
        call=stretch.call if stretch else None,
    )


def _request(target: Target, generation: GenerateInput) -> GenerationRequest:
    return GenerationRequest(
        model=target.engine_model,
        prompt_ids=generation.prompt_ids,
        max_tokens=generation.max_tokens,
        sampling=generation.sampling,
        stop_token_ids=generation.stop_ids,
        logprobs=generation.logprobs,
        grammar=generation.syntax.grammar,
    )


def _finish(reason: str | None, answer: AnswerText, generation: GenerateInput) -> Finish:
    if answer.stop_sequence is not None:
        return Finish.STOP_SEQUENCE
    if reason == "length" and not answer.over:
        return Finish.CONTEXT if generation.full_context else Finish.MAX_TOKENS
    return Finish.TOOL_USE if answer.has_calls else Finish.END


def _broken_stream(problem: Exception) -> ServiceRefusal:
    return ServiceRefusal(
        "ModelStreamErrorException",
        f"The engine went away in the middle of the answer. Send the request again. ({problem})",
        http_status=424,
    )
