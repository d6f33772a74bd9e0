"""The trace of one invocation for the log: its request, and its answer as it passes by.

The corridor begins one where invocations of the region are logged, and the door ends it once the answer is sent. An
entrance with answers of its own (OpenAI's) hands an `Invocation` to the same log.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from outcrop.access.needs.knowledge import GENERATING
from outcrop.api.door.call import Answer, Answered, Call, Streamed
from outcrop.errors import Invalid
from outcrop.invocation_logs.invocation import Invocation
from outcrop.protocol.values import json_text

if TYPE_CHECKING:
    from outcrop.house import House

INVOCATIONS = frozenset({"Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"})
"The operations of bedrock-runtime that Bedrock logs."
_LOGGED = {"bedrock-runtime": INVOCATIONS, "bedrock-agent-runtime": frozenset(GENERATING)}
"By service. An answer from a knowledge base is logged as one invocation, whatever was asked of its model."
HEADER = "x-amzn-bedrock-request-metadata"
_MOST_METADATA, _LONGEST_METADATA = 16, 256
"As Converse's requestMetadata has it."


@dataclass(kw_only=True)
class InvocationTrace:
    """The facts of one invocation that the log is told."""

    call: Call
    account: str
    at: datetime
    input_body: bytes
    metadata: dict[str, str]
    output: Any = None
    chunks: list[Any] = field(default_factory=list)

    def follow(self, answered: Answered) -> Answered:
        """Pass an answer on; a stream's events are kept as they are sent."""
        if isinstance(answered, Streamed):
            self.output = self.chunks
            return replace(answered, events=self._followed(answered.events))
        members = answered.members if isinstance(answered, Answer) else answered
        assert isinstance(members, dict), "an invocation is answered with members"
        body = members.get("body")
        self.output = body if isinstance(body, bytes) else members
        return answered

    async def _followed(self, events: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[dict[str, Any], None]:
        assert isinstance(events, AsyncGenerator), "a stream that is closed when its reader leaves"
        async with aclosing(events):
            async for event in events:
                chunk = event.get("chunk")
                self.chunks.append(event if chunk is None else chunk["bytes"])
                yield event

    def ended(self, error_code: str) -> Invocation:
        """The invocation, answered, refused or broken off."""
        call = self.call
        return Invocation(
            at=self.at,
            region=call.region,
            account=self.account,
            identity_arn=call.caller.arn,
            request_id=call.request_id,
            operation=call.operation,
            model_id=_model_of(call),
            input_body=self.input_body,
            output_body=self.output,
            input_tokens=call.usage.input_tokens,
            output_tokens=call.usage.output_tokens,
            metadata=self.metadata,
            error_code=error_code,
        )


def trace_of(house: "House", call: Call, body: bytes | None) -> InvocationTrace | None:
    """The trace of a call that is an invocation and is logged; None for any other.

    Raises Invalid for metadata in a header that is none.
    """
    if call.operation not in _LOGGED.get(call.service, ()):
        return None
    metadata = _metadata(call)
    if not house.invocation_logs.is_on(call.region):
        return None
    return InvocationTrace(
        call=call, account=house.account, at=house.clock.now(), input_body=body or b"", metadata=metadata
    )


def _model_of(call: Call) -> str:
    """The model as the caller wrote it."""
    if "modelId" in call.params:
        return str(call.params["modelId"])
    configs = (call.params.get("retrieveAndGenerateConfiguration") or {}).values()
    return next((str(each["modelArn"]) for each in configs if isinstance(each, Mapping)), "")


def _metadata(call: Call) -> dict[str, str]:
    """The requestMetadata of Converse, or that of InvokeModel's header."""
    if "requestMetadata" in call.params:
        return dict(call.params["requestMetadata"])
    header = call.headers.get(HEADER)
    if header is None:
        return {}
    try:
        found = json_text.loads(header)
    except json_text.NotJson as error:
        raise Invalid(f"{HEADER}: it is not valid JSON ({error}). Send an object of texts.") from error
    texts = [*found.items()] if isinstance(found, dict) else []
    fit = all(
        isinstance(value, str) and len(name) and max(len(name), len(value)) <= _LONGEST_METADATA
        for name, value in texts
    )
    if not fit or not 1 <= len(texts) <= _MOST_METADATA:
        raise Invalid(
            f"{HEADER}: expected an object of 1 to {_MOST_METADATA} texts of at most {_LONGEST_METADATA} characters."
        )
    return dict(texts)
