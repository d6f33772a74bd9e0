"""Chat completions: messages, tools and forms in, one answer or several out, at once or as they are made."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from outcrop.api.bedrock import guarding
from outcrop.api.door.call import Answer, Answered, Call, Streamed
from outcrop.api.openai import invoking
from outcrop.api.openai.endpoint import BODY, Endpoint, Takes
from outcrop.api.openai.members import Settled, settle
from outcrop.api.openai.prompt_logprobs import score_last_message
from outcrop.api.openai.rates import rate_headers
from outcrop.house import House
from outcrop.invocation import invoke
from outcrop.invocation.admission import Ticket
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.dialects.openai import OPENAI_CHAT, answer_chat, chat_chunk, piece_chat, read_chat
from outcrop.invocation.dialects.openai_members import finish_reason, usage_of
from outcrop.invocation.exchange import Finished, Started
from outcrop.invocation.invoke import PreparedInvocation
from outcrop.invocation.target import told_weights

_UNSERVED = {
    "audio": "models here answer with text. Leave it out.",
    "function_call": "it gave way to tool_choice. Use that.",
    "functions": "it gave way to tools. Use that.",
    "moderation": "moderation is not built in Outcrop. Leave it out.",
    "prediction": "predicted outputs are not built in Outcrop. Leave it out.",
    "web_search_options": "models here do not search the web. Leave it out, or give a tool that does.",
}
_ONLY: dict[str, tuple[Any, ...]] = {
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "verbosity": ("medium",),
}


async def create_chat_completion(house: House, call: Call) -> Answered:
    """The answer, or the stream of its chunks."""
    name = call.params[BODY]["model"]
    settled = settle(call.params[BODY], unserved=_UNSERVED, only=_ONLY)
    if settled.body.get("echo", False) is not False:
        guarding.check_unguarded(call, "echo tells the log probabilities of the prompt. Leave it out.")
        return await score_last_message(house, call, name, settled)
    settled.body.pop("echo", None)
    asked = read_chat(settled.body)
    target = await invoking.target_of(house, call, name)
    prepared = await guarding.prepared_asked(house, call, target, _dialect(settled), asked, config=settled.guardrail)
    return await answer_with(call, prepared, settled)


async def answer_with(call: Call, prepared: PreparedInvocation, settled: Settled) -> Answered:
    """The answer of a prepared invocation, with the limits it was held against in its headers."""
    headers = told_weights(prepared.target)

    def admitted(ticket: Ticket) -> None:
        headers.update(rate_headers(ticket.rates))

    if settled.streams:
        chunks = invoke.stream_chunks(prepared, began=call.started, count=call.usage.count, admitted=admitted)
        return Streamed({}, events=_closing(chunks), headers=headers)
    invoked = await invoke.invoke(prepared, began=call.started, count=call.usage.count, admitted=admitted)
    return Answer(invoked.response, headers=headers | {"openai-processing-ms": str(invoked.latency_ms)})


async def _closing(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


def _dialect(settled: Settled) -> Dialect:
    """OpenAI's form to the letter, which the bodies of InvokeModel have only nearly."""
    return replace(
        OPENAI_CHAT,
        answer=_answer,
        opening=lambda started: [
            _told(chat_chunk(started, {"role": "assistant", "content": "", "refusal": None}), settled)
        ],
        piece=lambda started, piece: _told(piece_chat(started, piece), settled),
        closing=lambda started, finished: [_told(chat_chunk(started, {}, finish_reason(finished)), settled)],
        ending=lambda started, finished: [_usage_chunk(started, finished)] if settled.tells_usage else [],
    )


def _answer(started: Started, finished: Finished) -> Chunk:
    answer = answer_chat(started, finished)
    for choice in answer["choices"]:
        choice["message"] |= {"refusal": None, "annotations": []}
        choice.setdefault("logprobs", None)
    return {**answer, "usage": usage_of(started, finished), "service_tier": "default", "system_fingerprint": None}


def _told(chunk: Chunk, settled: Settled) -> Chunk:
    """A chunk as OpenAI has it: with a usage that is null where the last chunk will tell it."""
    for choice in chunk["choices"]:
        choice.setdefault("logprobs", None)
    more = {"usage": None} if settled.tells_usage else {}
    return {**chunk, "service_tier": "default", "system_fingerprint": None, **more}


def _usage_chunk(started: Started, finished: Finished) -> Chunk:
    chunk = {**chat_chunk(started, {}), "choices": []}
    return {**chunk, "service_tier": "default", "system_fingerprint": None, "usage": usage_of(started, finished)}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/chat/completions",
        service="bedrock-runtime",
        operation="InvokeModel",
        meaning=invoking.mean_invocation,
        handler=create_chat_completion,
        takes=Takes.JSON,
    ),
)
