"""A remote model behind an OpenAI-compatible URL: text in, text out, usage as its server tells it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from outcrop.catalog.remote_model import RemoteModel
from outcrop.errors import Invalid, ModelFailed, OutcropError
from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest
from outcrop.invocation.remote import failures
from outcrop.invocation.remote.credentials import BearerKey
from outcrop.invocation.remote.failures import Sleep, broken_stream, tried, tried_stream
from outcrop.invocation.remote.https import RemoteAnswer, RemoteBroken, RemoteHttp
from outcrop.invocation.remote.openai_answers import OpenAiAnswer
from outcrop.invocation.remote.openai_requests import CHAT, NEWER_LIMIT, OLDER_LIMIT, request_of

_END = b"[DONE]"


class OpenAiEngine:
    """A TextEngine over one remote model."""

    def __init__(
        self, remote: RemoteModel, key: BearerKey | None, http: RemoteHttp, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._remote = remote
        self._secrets = key.secrets if key is not None else ()
        self._http = http
        self._sleep = sleep
        self._headers = {"content-type": "application/json", "user-agent": "outcrop"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key.key}"
        self._limit = OLDER_LIMIT

    def check(self, asked: InvocationRequest) -> None:
        """Raises Invalid for what the protocol has no words for, before anything is sent."""
        request_of(self._remote, asked, limit=self._limit, stream=False)

    async def complete(self, asked: InvocationRequest) -> Finished:
        """The whole answer."""
        return await tried(lambda: self._complete(asked), sleep=self._sleep)

    async def stream(self, asked: InvocationRequest) -> AsyncGenerator[AnswerPiece | Finished, None]:
        """The answer piece by piece, and then as a whole."""
        async with aclosing(tried_stream(lambda: self._stream(asked), sleep=self._sleep)) as items:
            async for item in items:
                yield item

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _complete(self, asked: InvocationRequest) -> Finished:
        answer = OpenAiAnswer(self._http.host, asked.sampling)
        async with self._posted(asked, stream=False) as response:
            try:
                body = await response.read()
            except RemoteBroken as broken:
                raise ModelFailed(f"The remote model went away in the middle of its answer. {broken}") from broken
        _ = [*self._pushed(answer, body), *answer.rest()]
        return _checked(answer.finished(), asked)

    async def _stream(self, asked: InvocationRequest) -> AsyncGenerator[AnswerPiece | Finished, None]:
        answer = OpenAiAnswer(self._http.host, asked.sampling)
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
        """The answer to a request that was taken. Raises what stands for a refusal."""
        refused = None
        for limit in dict.fromkeys((self._limit, NEWER_LIMIT, OLDER_LIMIT)):
            path, body = request_of(self._remote, asked, limit=limit, stream=stream)
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            async with self._http.post(self._remote.url + path, self._headers, content) as response:
                if response.status == 200:
                    self._limit = limit
                    yield response
                    return
                refused = await self._refusal(response)
            if not (isinstance(refused, Invalid) and path == CHAT and _is_about_limit(refused, limit)):
                break
        assert refused is not None, "every request was refused"
        raise refused

    async def _refusal(self, response: RemoteAnswer) -> OutcropError:
        try:
            body = await response.read()
        except RemoteBroken:
            body = b""
        return failures.refusal(self._http.host, response.status, response.headers, body, self._secrets)

    def _pushed(self, answer: OpenAiAnswer, text: bytes) -> list[AnswerPiece]:
        """The pieces that an event adds to an answer, or the whole of it. Raises ModelFailed."""
        try:
            return list(answer.push(json.loads(text)))
        except ModelFailed as failed:
            raise ModelFailed(failures.hidden(failed.message, self._secrets)) from failed
        except (ValueError, KeyError, TypeError, AttributeError) as strange:
            raise ModelFailed(
                f"{self._http.host} answered in another form than OpenAI's. Is that the address of its API?"
            ) from strange


async def _events(response: RemoteAnswer) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events, however the connection cuts them; comments and other fields are passed over."""
    rest = b""
    async for piece in response.pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            data = line.rstrip(b"\r").removeprefix(b"data:")
            if len(data) == len(line.rstrip(b"\r")):
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
