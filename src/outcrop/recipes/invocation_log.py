"""A record of Bedrock's model invocation log, read: who asked what, and what was answered.

A log holds bodies as they went over the wire: each provider's own, or Converse's; an answer that was streamed is a list
of its chunks, or Converse's answer put together. Only text is read; the rest is a `LogProblem` with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Turn = Mapping[str, str]
_CUT = {"length", "max_tokens", "model_context_window_exceeded"}
_STOPPED = {"content_filtered", "content_filter", "guardrail_intervened", "refusal", "error", "error_toxic"}
_NO_TEXT = {"tool_use", "tool_calls", "malformed_model_output", "malformed_tool_use"}


class LogProblem(Exception):
    """An invocation that gives no training pair; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class LoggedInvocation:
    """A prompt or a conversation, and the answer to it."""

    request_id: str
    model_id: str
    metadata: Mapping[str, str]
    prompt: str | None
    "As a provider's body has it; None: `turns` were sent."
    system: str | None
    turns: Sequence[Turn]
    answer: str


def is_log(record: Mapping[str, Any]) -> bool:
    return record.get("schemaType") == "ModelInvocationLog" or {"input", "output", "modelId"} <= record.keys()


def parse(record: Mapping[str, Any], *, better_answer: str | None = None) -> LoggedInvocation:
    """The invocation that a record of the log tells of; with a better answer its own is not looked at.

    Raises LogProblem.
    """
    asked = _body(record, "input")
    if not isinstance(asked, dict):
        raise LogProblem("an input that is no JSON object")
    answer = better_answer if better_answer is not None else _told_answer(record)
    prompt = next((asked[key] for key in ("prompt", "inputText", "message") if isinstance(asked.get(key), str)), None)
    turns = [] if prompt is not None else _turns(asked)
    system = _system(asked)
    if turns and turns[0]["role"] == "system":
        system, turns = turns[0]["content"], turns[1:]
    return LoggedInvocation(
        request_id=str(record.get("requestId", "")),
        model_id=str(record.get("modelId", "")),
        metadata=metadata_of(record),
        prompt=prompt,
        system=system,
        turns=turns,
        answer=answer,
    )


def _told_answer(record: Mapping[str, Any]) -> str:
    if record.get("errorCode"):
        raise LogProblem(f"the invocation failed ({record['errorCode']})")
    answer = _answer(_body(record, "output"))
    if not answer.strip():
        raise LogProblem("no text in the answer")
    return answer


def metadata_of(record: Mapping[str, Any]) -> Mapping[str, str]:
    """The requestMetadata that the caller sent with an invocation."""
    given = record.get("requestMetadata")
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}


def _body(record: Mapping[str, Any], side: str) -> Any:
    holder = record.get(side)
    holder = holder if isinstance(holder, dict) else {}
    if holder.get(f"{side}BodyS3Path"):
        raise LogProblem(f"its {side} lies in an object of its own ({side}BodyS3Path)")
    body = holder.get(f"{side}BodyJson")
    if body is None:
        raise LogProblem(f"no {side} in the log")
    return body


def _system(asked: Mapping[str, Any]) -> str | None:
    given = asked.get("system")
    if isinstance(given, str):
        return given or None
    return _text(given, "system") if isinstance(given, list) and given else None


def _turns(asked: Mapping[str, Any]) -> list[Turn]:
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise LogProblem("no prompt and no messages")
    turns: list[Turn] = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise LogProblem("a message without a role")
        turns.append({"role": message["role"], "content": _text(message.get("content"), "the conversation")})
    return turns


def _text(content: Any, where: str) -> str:
    """The text of a message's content: a string, or blocks of text alone."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise LogProblem(f"no text in {where}")
    texts = []
    for block in content:
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif not (isinstance(block, dict) and ("cachePoint" in block or "reasoningContent" in block)):
            raise LogProblem(f"tools, pictures or documents in {where}")
    return "".join(texts)


def _answer(told: Any) -> str:
    """The answer's text, of every provider's form, streamed or not. Raises LogProblem for one that was cut."""
    chunks = told if isinstance(told, list) else [told]
    pieces: list[str] = []
    for chunk in chunks:
        if not isinstance(chunk, dict):
            raise LogProblem("an output that is no JSON object")
        _check_reason(chunk)
        pieces.append(_piece(chunk))
    return "".join(pieces)


def _piece(chunk: Mapping[str, Any]) -> str:
    """The text of a whole answer, or of a chunk of one."""
    match chunk:
        case {"output": {"message": {"content": content}}}:  # Converse, Nova
            return _text(content, "the answer")
        case {"content": list(content), "role": "assistant"}:  # Claude
            return _text([block for block in content if _is_said(block)], "the answer")
        case {"contentBlockStart": {"start": {"toolUse": _}}} | {"content_block": {"type": "tool_use"}}:
            raise LogProblem("tools, pictures or documents in the answer")
        case {"contentBlockDelta": {"delta": {"text": str(text)}}} | {
            "delta": {"type": "text_delta", "text": str(text)}
        }:
            return text
        case (
            {"results": [{"outputText": str(text)}, *_]}
            | {"outputs": [{"text": str(text)}, *_]}
            | {"generations": [{"text": str(text)}, *_]}
            | {"completions": [{"data": {"text": str(text)}}, *_]}
            | {"choices": [{"message": {"content": str(text)}}, *_]}
            | {"choices": [{"delta": {"content": str(text)}}, *_]}
            | {"choices": [{"text": str(text)}, *_]}
        ):
            return text
        case {"generation": str(text)} | {"outputText": str(text)} | {"completion": str(text)} | {"text": str(text)}:
            return text
    return ""


def _is_said(block: Any) -> bool:
    return not (isinstance(block, dict) and block.get("type") in ("thinking", "redacted_thinking"))


_REASONS = ("stopReason", "stop_reason", "finish_reason", "completionReason")
_HOLDERS = ("results", "outputs", "generations", "completions", "choices")


def _check_reason(chunk: Mapping[str, Any]) -> None:
    """Raises LogProblem for an answer that did not end by itself: it teaches a model to break off."""
    held = [chunk, chunk.get("messageStop"), chunk.get("delta")]
    held += [entry for name in _HOLDERS if isinstance(chunk.get(name), list) for entry in chunk[name][:1]]
    for holder in held:
        if not isinstance(holder, dict):
            continue
        reasons = [holder.get(name) for name in _REASONS]
        if isinstance(holder.get("finishReason"), dict):
            reasons.append(holder["finishReason"].get("reason"))
        for reason in (str(each).lower() for each in reasons if each):
            if reason in _CUT:
                raise LogProblem("the answer was cut at its token limit")
            if reason in _STOPPED:
                raise LogProblem("the answer was stopped by a filter")
            if reason in _NO_TEXT:
                raise LogProblem("tools, pictures or documents in the answer")
