"""The engine's own thread, and the event loop's side of it.

Tensors are touched on this one thread only; between two steps it does what the loop asked for meanwhile. Tokens go back
to the loop as they are made. Torch is imported on the thread too, so that the process can say "not yet" from its first
moment.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from outcrop.errors import ModelFailed, NotReady, OutcropError
from outcrop.inference.request import EngineRequest, TokenLogprob
from outcrop.inference.request_stream import RequestStream

if TYPE_CHECKING:
    from outcrop.inference.encoder_engine import EncoderEngine
    from outcrop.inference.encoder_requests import EncoderRequest, EncoderResult
    from outcrop.inference.engine import Engine, StepResult

T = TypeVar("T")
Command = Callable[[Any], None]
"Takes the engine, of whichever of the two kinds it is."

_log = logging.getLogger("outcrop.engine")


_MANY_STREAMS = 4
_APART_S, _MOST_APART_S = 0.015, 0.12
"""Where so many streams run, each piece takes time from the engine: the pieces of one are then so far apart, for each
stream that runs, and hold all tokens that were made meanwhile. So some seventy pieces a second leave an engine."""


class GeneratedTokens(NamedTuple):
    """The tokens of a request that were generated since the last look."""

    ids: list[int]
    finish_reason: str | None
    logprobs: list[TokenLogprob]
    "Of the ids, where the request asked for them; else none."
    num_cached: int = 0
    "Tokens of the prompt that others had read before."


class EngineThread:
    """Runs one engine, or one encoder. Its methods are for the event loop it was made on."""

    def __init__(self, load: Callable[[], "Engine | EncoderEngine"]) -> None:
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._streams: dict[str, RequestStream] = {}
        self.loaded: asyncio.Future[None] = self._loop.create_future()
        "Done when the base model is in memory; its exception says why it cannot be."
        self.broken: asyncio.Future[None] = self._loop.create_future()
        "Done when the thread ended by itself: nothing will be answered any more."
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        return self.loaded.done() and self.loaded.exception() is None

    async def ask(self, work: Callable[[Any], T]) -> T:
        """Run `work` between two steps. Raises NotReady while the base model is loading."""
        if not self.ready:
            raise NotReady("The engine is loading its base model. Ask again in a moment.")
        answer: asyncio.Future[T] = self._loop.create_future()

        def command(engine: Any) -> None:
            try:
                found = work(engine)
            except Exception as problem:
                self._tell(_fail, answer, problem)
            else:
                self._tell(_succeed, answer, found)

        self._commands.put(command)
        return await answer

    async def generate(self, request: EngineRequest) -> AsyncGenerator[GeneratedTokens, None]:
        """Tokens as they are made; closing the generator aborts the request.

        The first item is empty: the engine has accepted the request, and does not raise its refusals any more.
        """
        async with self._submitted([request]) as (stream,):
            yield GeneratedTokens([], None, [])
            finish_reason = None
            while finish_reason is None:
                tokens = await _arrived(stream)
                finish_reason = tokens.finish_reason
                yield tokens
                if len(self._streams) >= _MANY_STREAMS:
                    stream.rest(min(_MOST_APART_S, _APART_S * len(self._streams)))

    async def generate_together(self, requests: Sequence[EngineRequest]) -> list[GeneratedTokens]:
        """The whole answers of requests that begin in one and the same step, as far as the engine has room."""
        async with self._submitted(requests) as streams:
            return [await _whole(stream) for stream in streams]

    async def result_of(self, request: "EncoderRequest") -> "EncoderResult":
        """The result of a request to an encoder. Whoever is cancelled meanwhile aborts it."""
        async with self._submitted([request]) as (stream,):
            (item,) = await stream.take()
        if isinstance(item, OutcropError):
            raise item
        result: EncoderResult = item
        return result

    @asynccontextmanager
    async def _submitted(
        self, requests: "Sequence[EngineRequest | EncoderRequest]"
    ) -> "AsyncGenerator[list[RequestStream], None]":
        """The streams of what the engine makes for each request.

        At the end of the block those that still run are aborted.
        """

        def submit(engine: Any) -> None:
            for request in requests:
                engine.submit(request)

        streams = [RequestStream(self._loop) for _ in requests]
        self._streams |= {request.id: stream for request, stream in zip(requests, streams, strict=True)}
        try:
            await self.ask(submit)
            yield streams
        finally:
            for request in requests:
                del self._streams[request.id]
                self._commands.put(partial(_abort, request.id))

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread after its current step; False when it did not end in time (it may be loading)."""
        self._commands.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            engine: Any = self._load()
        except Exception as problem:
            self._tell(_fail, self.loaded, problem)
            return
        self._tell(_succeed, self.loaded, None)
        try:
            while self._obey(engine):
                if engine.busy:
                    self._step(engine)
        except BaseException:
            _log.exception("the engine's thread broke")
            self._tell(_succeed, self.broken, None)

    def _obey(self, engine: Any) -> bool:
        """Do what was asked, waiting for it when there is nothing to generate; False to end."""
        while not engine.busy or not self._commands.empty():
            command = self._commands.get()
            if command is None:
                return False
            try:
                command(engine)
            except Exception:
                # What was asked has told its own failure; an abort has nobody to tell, and others wait for this thread.
                _log.exception("command failed")
        return True

    def _step(self, engine: Any) -> None:
        try:
            produced = engine.step()
        except Exception:
            _log.exception("step failed")
            failed = ModelFailed("The engine failed while it computed this answer; its log says why. Ask again.")
            self._tell(self._break_off, engine.abort_all(), failed)
        else:
            self._tell(self._deliver, produced)

    def _deliver(self, produced: "Sequence[StepResult | EncoderResult]") -> None:
        for item in produced:
            stream = self._streams.get(item.request_id)
            if stream is not None:  # else its client left meanwhile
                stream.put(item.problem or item)

    def _break_off(self, request_ids: list[str], problem: OutcropError) -> None:
        for request_id in request_ids:
            if request_id in self._streams:
                self._streams[request_id].put(problem)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            assert self._loop.is_closed(), "only an ending process has no loop to tell"


async def _arrived(stream: RequestStream) -> GeneratedTokens:
    """The tokens that are there, or come next. Raises what broke the generation off."""
    items = await stream.take()
    ids: list[int] = []
    logprobs: list[TokenLogprob] = []
    reason, num_cached = None, 0
    for item in items:
        if isinstance(item, OutcropError):
            if not ids:
                raise item
            stream.put(item)  # nothing follows it: for the next look, after the tokens that came before
            break
        ids.append(item.token)
        reason, num_cached = item.finish_reason, item.num_cached
        logprobs += [] if item.logprob is None else [item.logprob]
    return GeneratedTokens(ids, reason, logprobs, num_cached)


async def _whole(stream: RequestStream) -> GeneratedTokens:
    """Everything until its end."""
    ids, logprobs = [], []
    more = GeneratedTokens([], None, [])
    while more.finish_reason is None:
        more = await _arrived(stream)
        ids += more.ids
        logprobs += more.logprobs
    return GeneratedTokens(ids, more.finish_reason, logprobs, more.num_cached)


def _abort(request_id: str, engine: Any) -> None:
    engine.abort(request_id)


def _succeed(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[T]", problem: Exception) -> None:
    if not future.done():
        future.set_exception(problem)
