"""A model of real Bedrock: operations passed through with the administrator's own credentials.

`BedrockRelay` passes a whole operation on: bodies and events in the model's own form, errors with their code.
`BedrockEngine` puts invocations of other forms (OpenAI's, a batch's) in Converse's words.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from outcrop.catalog.remote_model import RemoteModel
from outcrop.errors import ModelFailed
from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest
from outcrop.invocation.remote import converse_words
from outcrop.invocation.remote.credentials import RemoteKey
from outcrop.invocation.remote.failures import broken_stream
from outcrop.invocation.remote.https import RemoteAnswer, RemoteBroken, RemoteHttp

_COUNTS = ("-token-count", "-invocation-latency")
"Ends of the headers that no member of an output stands for."


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """An operation's answer as Bedrock gave it."""

    members: dict[str, Any]
    headers: Mapping[str, str]
    "Counts of tokens, and the latency."


@dataclass(frozen=True, kw_only=True)
class RelayedStream:
    """The head of a streaming answer, and its events."""

    members: dict[str, Any]
    events: AsyncGenerator[dict[str, Any], None]


class BedrockRelay:
    """Operations of Bedrock's runtime, put to one model of it."""

    def __init__(self, remote: RemoteModel, key: RemoteKey | None, http: RemoteHttp) -> None:
        self._remote = remote
        self._key = key
        self._http = http

    async def call(self, operation: str, params: Mapping[str, Any]) -> Relayed:
        """The answer of an operation that does not stream."""
        from outcrop.invocation.remote import bedrock_wire

        async with self._posted(operation, params) as response:
            try:
                body = await response.read()
            except RemoteBroken as broken:
                raise ModelFailed(f"The remote model went away in the middle of its answer. {broken}") from broken
            members = bedrock_wire.answer(operation, response.status, response.headers, body)
            headers = {name: value for name, value in response.headers.items() if name.endswith(_COUNTS)}
            return Relayed(members=members, headers=headers)

    async def stream(self, operation: str, params: Mapping[str, Any]) -> RelayedStream:
        """The answer of an operation that streams, once its head is there."""
        from outcrop.invocation.remote import bedrock_wire

        answering = self._answering(operation, params)
        response = await anext(answering)
        assert isinstance(response, RemoteAnswer), "the head comes first"
        return RelayedStream(members=bedrock_wire.head(operation, response.headers), events=_events(answering))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _answering(
        self, operation: str, params: Mapping[str, Any]
    ) -> AsyncGenerator[RemoteAnswer | dict[str, Any], None]:
        """The head of an answer, and then its events."""
        from outcrop.invocation.remote import bedrock_wire

        async with self._posted(operation, params) as response:
            yield response
            reader = bedrock_wire.EventReader(operation, host=self._http.host, key=self._key)
            try:
                async for piece in response.pieces:
                    for event in reader.push(piece):
                        yield event
            except RemoteBroken as broken:
                raise broken_stream(broken) from broken

    @asynccontextmanager
    async def _posted(self, operation: str, params: Mapping[str, Any]) -> AsyncGenerator[RemoteAnswer, None]:
        """The answer to a request that was taken. Raises what Bedrock raised."""
        from outcrop.invocation.remote import bedrock_wire

        url, region, key = self._remote.url, self._remote.region, self._key
        named = {**params, "modelId": self._remote.model}
        wire = bedrock_wire.request(operation, named, url=url, region=region, key=key)
        async with self._http.post(wire.url, wire.headers, wire.body) as response:
            if response.status == 200:
                yield response
                return
            try:
                body = await response.read()
            except RemoteBroken:
                body = b""
            host = self._http.host
            raise bedrock_wire.refusal(operation, response.status, response.headers, body, host=host, key=key)


class BedrockEngine:
    """A TextEngine over a model of real Bedrock, for invocations that came in another form than Bedrock's."""

    def __init__(self, relay: BedrockRelay) -> None:
        self._relay = relay

    def check(self, asked: InvocationRequest) -> None:
        """Raises Invalid for what Converse has no words for."""
        converse_words.params_of(asked)

    async def complete(self, asked: InvocationRequest) -> Finished:
        relayed = await self._relay.call("Converse", converse_words.params_of(asked))
        return converse_words.finished(relayed.members)

    async def stream(self, asked: InvocationRequest) -> AsyncGenerator[AnswerPiece | Finished, None]:
        relayed = await self._relay.stream("ConverseStream", converse_words.params_of(asked))
        answer = converse_words.ConverseAnswer()
        async with aclosing(relayed.events) as events:
            async for event in events:
                for piece in answer.push(event):
                    yield piece
        yield answer.finished()

    async def aclose(self) -> None:
        await self._relay.aclose()


async def _events(answering: AsyncGenerator[Any, None]) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(answering) as events:
        async for event in events:
            yield event
