"""Anthropic's Messages: checked in Anthropic's own words, which begin with the path of the field."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import (
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    SamplingOptions,
    Started,
)
from outcrop.invocation.schema import Body
from outcrop.tokens.prompt_format import join_blocks

_DEFAULTS = SamplingOptions(max_tokens=None, temperature=1.0, top_p=0.999)
_REQUIRED = ("anthropic_version", "max_tokens", "messages")
_REASONS = {
    Finish.END: "end_turn",
    Finish.MAX_TOKENS: "max_tokens",
    Finish.CONTEXT: "model_context_window_exceeded",
    Finish.STOP_SEQUENCE: "stop_sequence",
}


def _read(body: Body) -> InvocationRequest:
    problems = [f"{key}: Field required" for key in _REQUIRED if key not in body]
    for key, value in body.items():
        problem = _FIELDS[key](value) if key in _FIELDS else "Extra inputs are not permitted"
        if problem:
            problems.append(f"{key}: {problem}")
    if problems:
        raise Invalid("; ".join(problems))
    return InvocationRequest(
        prompt=ChatPrompt(messages=_turns(body["messages"]), system=_system(body.get("system")) or None),
        sampling=SamplingOptions(
            max_tokens=body["max_tokens"],
            temperature=body.get("temperature", _DEFAULTS.temperature),
            top_p=body.get("top_p", _DEFAULTS.top_p),
            top_k=body.get("top_k", _DEFAULTS.top_k),
            stop_sequences=tuple(body.get("stop_sequences", ())),
        ),
    )


def _not_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "Input should be a valid string"


def _not_texts(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None
    return "Input should be a valid list of strings"


def _no_integer_from(least: int) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "Input should be a valid integer"
        return None if value >= least else f"Input should be greater than or equal to {least}"

    return problem


def _no_share(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "Input should be a valid number"
    return None if 0 <= value <= 1 else "range: 0..1"


def _no_list(value: Any) -> str | None:
    return None if isinstance(value, list) else "Input should be a valid list"


def _no_system(value: Any) -> str | None:
    return None if isinstance(value, str | list) else "Input should be a valid string"


def _tools(value: Any) -> str | None:
    return "This model does not support tools" if value else None


def _thinking(value: Any) -> str | None:
    off = isinstance(value, dict) and value.get("type") == "disabled"
    return None if off else "This model does not support extended thinking"


def _anything(_value: Any) -> str | None:
    return None


_FIELDS: Mapping[str, Callable[[Any], str | None]] = {
    "anthropic_version": _not_text,
    "anthropic_beta": _not_texts,
    "max_tokens": _no_integer_from(1),
    "messages": _no_list,
    "system": _no_system,
    "temperature": _no_share,
    "top_p": _no_share,
    "top_k": _no_integer_from(0),
    "stop_sequences": _not_texts,
    "metadata": _anything,
    "tools": _tools,
    "tool_choice": _tools,
    "thinking": _thinking,
}


def _turns(messages: Sequence[Any]) -> list[dict[str, str]]:
    if not messages:
        raise Invalid("messages: at least one message is required")
    turns = [_turn(message, at=f"messages.{number}") for number, message in enumerate(messages)]
    if turns[0]["role"] != "user":
        raise Invalid('messages: first message must use the "user" role')
    for before, after in pairwise(turns):
        if before["role"] == after["role"]:
            raise Invalid(
                'messages: roles must alternate between "user" and "assistant", '
                f'but found multiple "{after["role"]}" roles in a row'
            )
    if turns[-1]["role"] == "assistant" and turns[-1]["content"] != turns[-1]["content"].rstrip():
        raise Invalid("messages: final assistant content cannot end with trailing whitespace")
    return turns


def _turn(message: Any, *, at: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise Invalid(f"{at}: Input should be a valid dictionary")
    role = message.get("role")
    if role == "system":
        raise Invalid(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" '
            "as an input message role."
        )
    for key in ("role", "content"):
        if key not in message:
            raise Invalid(f"{at}.{key}: Field required")
    if role not in ("user", "assistant"):
        raise Invalid(f"{at}.role: Input should be 'user' or 'assistant'")
    text = _text_of(message["content"], at=f"{at}.content")
    if not text:
        raise Invalid("messages: text content blocks must be non-empty")
    return {"role": role, "content": text}


def _system(value: Any) -> str:
    return "" if value is None else _text_of(value, at="system")


def _text_of(content: Any, *, at: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Invalid(f"{at}: Input should be a valid list")
    return join_blocks([_block_text(block, at=f"{at}.{number}") for number, block in enumerate(content)])


def _block_text(block: Any, *, at: str) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind != "text":
        raise Invalid(f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'text'")
    if not isinstance(block.get("text"), str):
        raise Invalid(f"{at}.text: Input should be a valid string")
    return str(block["text"])


def _answer(started: Started, finished: Finished) -> Chunk:
    return _message(
        started,
        content=[{"type": "text", "text": finished.text}],
        num_output_tokens=finished.num_output_tokens,
        stop_reason=_REASONS[finished.finish],
        stop_sequence=finished.stop_sequence,
    )


def _message(
    started: Started,
    *,
    content: list[Chunk],
    num_output_tokens: int,
    stop_reason: str | None = None,
    stop_sequence: str | None = None,
) -> Chunk:
    return {
        "id": f"msg_bdrk_{started.id}",
        "type": "message",
        "role": "assistant",
        "model": started.model_id,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": {"input_tokens": started.num_input_tokens, "output_tokens": num_output_tokens},
    }


def _opening(started: Started) -> list[Chunk]:
    return [
        {"type": "message_start", "message": _message(started, content=[], num_output_tokens=0)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece.text}}


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    return [
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": _REASONS[finished.finish], "stop_sequence": finished.stop_sequence},
            "usage": {"output_tokens": finished.num_output_tokens},
        },
        {"type": "message_stop"},
    ]


CLAUDE = Dialect(
    name="claude", read=_read, answer=_answer, opening=_opening, piece=_piece, closing=_closing, defaults=_DEFAULTS
)
