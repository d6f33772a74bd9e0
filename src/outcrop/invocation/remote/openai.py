"""A remote model behind an OpenAI-compatible URL: text in, text out, usage as its server tells it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from outcrop.errors import Invalid, ModelFailed
from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest
from outcrop.invocation.remote.failures import Sleep, broken_stream, tried, tried_stream
from outcrop.invocation.remote.https import RemoteAnswer, RemoteBroken
from outcrop.invocation.remote.openai_answers import OpenAiAnswer
from outcrop.invocation.remote.openai_requests import CHAT, NEWER_LIMIT, OLDER_LIMIT, request_of
from outcrop.invocation.remote.openai_server import OpenAiServer

_END = b"[DONE]"


class OpenAiEngine:
    """A TextEngine over one remote model."""

    def __init__(self, server: OpenAiServer, *, sleep: Sleep = asyncio.sleep) -> None:
        self._server = server
        self._sleep = sleep
        self._limit = OLDER_LIMIT

    def check(self, asked: InvocationRequest) -> None:
        """Raises Invalid for what the protocol has no words for, before anything is sent."""
        request_of(self._server.remote, asked, limit=self._limit, stream=False)

    async def complete(self, asked: InvocationRequest) -> Finished:
        """The whole answer."""
        return await tried(lambda: self._complete(asked), sleep=self._sleep)

    async def stream(self, asked: InvocationRequest) -> AsyncGenerator[AnswerPiece | Finished, None]:
        """The answer piece by piece, and then as a whole."""
        async with aclosing(tried_stream(lambda: self._stream(asked), sleep=self._sleep)) as items:
            async for item in items:
                yield item

    async def aclose(self) -> None:
        await self._server.aclose()

    async def _complete(self, asked: InvocationRequest) -> Finished:
        answer = OpenAiAnswer(self._server.host, asked.sampling)
        async with self._posted(asked, stream=False) as response:
            try:
                body = await response.read()
            except RemoteBroken as broken:
                raise ModelFailed(f"The remote model went away in the middle of its answer. {broken}") from broken
        _ = [*self._pushed(answer, body), *answer.rest()]
        return _checked(answer.finished(), asked)

    async def _stream(self, asked: InvocationRequest) -> AsyncGenerator[AnswerPiece | Finished, None]:
        answer = OpenAiAnswer(self._server.host, asked.sampling)
        begun = False
        try:
            async with self._posted(asked, stream=True) as response, aclosing(_events(response)) as events:
                async for event in events:
                    for piece in self._pushed(answer, event):
                        begun = True
                        yield piece
                    if answer.is_stopped:
                        break
            for piece in answer.rest():
                yield piece
            yield _checked(answer.finished(), asked)
        except RemoteBroken as broken:
            raise broken_stream(broken) from broken
        except ModelFailed as failed:
            if not begun:
                raise
            raise broken_stream(failed.message) from failed

    @asynccontextmanager
    async def _posted(self, asked: InvocationRequest, *, stream: bool) -> AsyncGenerator[RemoteAnswer, None]:
        """The answer to a request that was taken, its limit of tokens under the name that the model knows."""
        limits = list(dict.fromkeys((self._limit, NEWER_LIMIT, OLDER_LIMIT)))
        for limit in limits:
            path, body = request_of(self._server.remote, asked, limit=limit, stream=stream)
            taken = False
            try:
                async with self._server.posted(path, body) as response:
                    taken, self._limit = True, limit
                    yield response
                    return
            except Invalid as refused:
                if taken or path != CHAT or limit == limits[-1] or not _is_about_limit(refused, limit):
                    raise

    def _pushed(self, answer: OpenAiAnswer, text: bytes) -> list[AnswerPiece]:
        """The pieces that an event adds to an answer, or the whole of it. Raises ModelFailed."""
        try:
            return list(answer.push(json.loads(text)))
        except ModelFailed as failed:
            raise ModelFailed(self._server.hidden(failed.message)) from failed
        except (ValueError, KeyError, TypeError, AttributeError) as strange:
            raise self._server.strange() from strange


async def _events(response: RemoteAnswer) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events, however the connection cuts them; comments and other fields are passed over."""
    rest = b""
    async for piece in response.pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            field = line.rstrip(b"\r")
            data = field.removeprefix(b"data:")
            if len(data) == len(field):
                continue
            if data.strip() == _END:
                return
            yield data


def _is_about_limit(refused: Invalid, limit: str) -> bool:
    """Whether a server refuses the field for the most tokens by the name that was tried."""
    return f"'{limit}'" in refused.message and "supported" in refused.message


def _checked(finished: Finished, asked: InvocationRequest) -> Finished:
    """Raises ModelFailed where log probabilities were asked for and none came."""
    if asked.sampling.logprobs is not None and finished.text and not finished.logprobs:
        raise ModelFailed("This model is remote, and its server tells no log probabilities. Ask without them.")
    return finished
