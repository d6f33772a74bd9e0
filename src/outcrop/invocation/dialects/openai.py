"""OpenAI's chat completions, as gpt-oss, Qwen and imported models speak them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from outcrop.invocation.dialects import openai_messages
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.dialects.openai_members import (
    DEFAULTS,
    SHARED,
    envelope,
    finish_reason,
    joined,
    sampling_of,
    usage_of,
)
from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest, Started, ToolCall
from outcrop.invocation.schema import Anything, Body, Flag, Items, Number, Struct, check, malformed
from outcrop.invocation.text_logprobs import SpelledToken, TextLogprob

_BODY = Struct(
    required={"messages": Items(of=Anything(), least=1)},
    optional={
        **SHARED,
        **openai_messages.MEMBERS,
        "max_completion_tokens": Number(least=1, integer=True),
        "logprobs": Flag(),
        "top_logprobs": Number(least=0, most=20, integer=True),
    },
)


def read_chat(body: Body) -> InvocationRequest:
    """Checks a body of chat completions and takes from it what is asked. Raises Malformed."""
    check(_BODY, body)
    if "top_logprobs" in body and not body.get("logprobs"):
        raise malformed(["#/top_logprobs: expected logprobs to be true"])
    logprobs = body.get("top_logprobs", 0) if body.get("logprobs") else None
    return InvocationRequest(
        prompt=openai_messages.read_chat_prompt(body),
        sampling=replace(sampling_of(body), logprobs=logprobs),
        form=openai_messages.read_form(body),
        num_answers=body.get("n", 1),
    )


def answer_chat(started: Started, finished: Finished) -> Chunk:
    """The whole response, of one answer."""
    logprobs = _logprobs(started, finished.logprobs)
    choice = {
        "index": started.index,
        "message": _message(finished),
        "finish_reason": finish_reason(finished),
        **logprobs,
    }
    return envelope(started, "chat.completion", "chatcmpl", [choice]) | {"usage": usage_of(started, finished)}


def chat_chunk(
    started: Started, delta: Chunk, reason: str | None = None, logprobs: Sequence[TextLogprob] = ()
) -> Chunk:
    """A chunk of a stream."""
    choice = {"index": started.index, "delta": delta, "finish_reason": reason, **_logprobs(started, logprobs)}
    return envelope(started, "chat.completion.chunk", "chatcmpl", [choice])


def delta_of(piece: AnswerPiece) -> Chunk:
    """The delta of a message that a piece of an answer is."""
    if piece.part == "reasoning":
        return {"reasoning_content": piece.text}
    if piece.part == "text":
        return {"content": piece.text}
    call: dict[str, Any] = {"index": piece.call_index, "function": {"arguments": piece.text}}
    if piece.opens:
        named = {"name": piece.call_name, "arguments": piece.text}
        call = {"index": piece.call_index, "id": piece.call_id, "type": "function", "function": named}
    return {"tool_calls": [call]}


def call_of(call: ToolCall) -> Chunk:
    """A call as a message has it."""
    arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def piece_chat(started: Started, piece: AnswerPiece) -> Chunk:
    return chat_chunk(started, delta_of(piece), None, piece.logprobs)


def _message(finished: Finished) -> Chunk:
    calls = [call_of(call) for call in finished.tool_calls]
    return {
        "role": "assistant",
        "content": None if calls and not finished.text else finished.text,
        **({"reasoning_content": finished.reasoning} if finished.reasoning else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def _logprobs(started: Started, logprobs: Sequence[TextLogprob]) -> Chunk:
    """The member `logprobs` of a choice, where it was asked for."""
    if started.asked.sampling.logprobs is None:
        return {}
    return {"logprobs": {"content": [logprob_of(one) for one in logprobs], "refusal": None}}


def logprob_of(one: TextLogprob) -> Chunk:
    """The log probability of a token of the answer, with the likeliest in its place."""
    return {**_token(one.token), "top_logprobs": [_token(each) for each in one.likeliest]}


def _token(token: SpelledToken) -> Chunk:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.spelling)}


def _piece(started: Started, piece: AnswerPiece) -> Chunk:
    role = {"role": "assistant"} if piece.first else {}
    return chat_chunk(started, {**role, **delta_of(piece)}, None, piece.logprobs)


def _closing(started: Started, finished: Finished) -> list[Chunk]:
    return [chat_chunk(started, {}, finish_reason(finished)) | {"usage": usage_of(started, finished)}]


OPENAI_CHAT = Dialect(
    name="openai",
    read=read_chat,
    answer=answer_chat,
    piece=_piece,
    closing=_closing,
    joined=joined,
    defaults=DEFAULTS,
)
