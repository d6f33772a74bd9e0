"""Anthropic's Messages: checked in Anthropic's own words, which begin with the path of the field."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.answer_form import form_of_claude_format
from outcrop.invocation.dialects.claude_messages import read_system, read_turns
from outcrop.invocation.dialects.claude_tools import OfferedByClaude, read_tools
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import (
    AnswerForm,
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    SamplingOptions,
    Started,
)
from outcrop.invocation.schema import Body

_DEFAULTS = SamplingOptions(max_tokens=None, temperature=1.0, top_p=0.999)
_REQUIRED = ("anthropic_version", "max_tokens", "messages")
_REASONS = {
    Finish.END: "end_turn",
    Finish.MAX_TOKENS: "max_tokens",
    Finish.CONTEXT: "model_context_window_exceeded",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.TOOL_USE: "tool_use",
    Finish.GUARDRAIL: "end_turn",
}
_LEAST_BUDGET = 1024


def _read(body: Body) -> InvocationRequest:
    problems = [f"{key}: Field required" for key in _REQUIRED if key not in body]
    for key, value in body.items():
        problem = _FIELDS[key](value) if key in _FIELDS else "Extra inputs are not permitted"
        if problem:
            problems.append(f"{key}: {problem}")
    if problems:
        raise Invalid("; ".join(problems))
    return InvocationRequest(
        prompt=_prompt(body, read_tools(body)),
        form=_form(body),
        sampling=SamplingOptions(
            max_tokens=body["max_tokens"],
            temperature=body.get("temperature", _DEFAULTS.temperature),
            top_p=body.get("top_p", _DEFAULTS.top_p),
            top_k=body.get("top_k", _DEFAULTS.top_k),
            stop_sequences=tuple(body.get("stop_sequences", ())),
        ),
    )


def _prompt(body: Body, offered: OfferedByClaude) -> ChatPrompt:
    thinking = body.get("thinking")
    if thinking is not None and thinking["type"] == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        raise Invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return ChatPrompt(
        messages=read_turns(body["messages"]),
        system=read_system(body.get("system")) or None,
        tools=offered.tools,
        tool_choice=offered.choice,
        parallel_tool_calls=offered.parallel,
        thinking=None if thinking is None else thinking["type"] != "disabled",
    )


def _form(body: Body) -> AnswerForm | None:
    """The form of the answer, in the field that is Claude's today or the one it had in its beta."""
    config = body.get("output_config") or {}
    return form_of_claude_format(config.get("format"), at="output_config.format") or form_of_claude_format(
        body.get("output_format"), at="output_format"
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


def _no_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "Input should be a valid dictionary"


def _thinking(value: Any) -> str | None:
    """The problem of a wish to think. Adaptive thinking leaves the budget to the model, as all models here do."""
    if not isinstance(value, dict):
        return "Input should be a valid dictionary"
    kind = value.get("type")
    if kind not in ("enabled", "disabled", "adaptive"):
        return (
            f"Input tag '{kind}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', "
            "'enabled'"
        )
    if kind != "enabled":
        return None
    problem = _no_integer_from(_LEAST_BUDGET)(value.get("budget_tokens"))
    return problem and f"budget_tokens: {problem}"


def _output_config(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "Input should be a valid dictionary"
    extra = sorted(value.keys() - {"format"})
    return f"{extra[0]}: Extra inputs are not permitted" if extra else None


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
    "tools": _no_list,
    "tool_choice": _no_object,
    "thinking": _thinking,
    "output_config": _output_config,
    "output_format": _no_object,
}


def _answer(started: Started, finished: Finished) -> Chunk:
    return _message(
        started,
        content=_content(finished),
        num_output_tokens=finished.num_output_tokens,
        stop_reason=_REASONS[finished.finish],
        stop_sequence=finished.stop_sequence,
    )


def _content(finished: Finished) -> list[Chunk]:
    blocks: list[Chunk] = []
    if finished.reasoning:
        blocks.append({"type": "thinking", "thinking": finished.reasoning, "signature": ""})
    if finished.text or not (blocks or finished.tool_calls):
        blocks.append({"type": "text", "text": finished.text})
    return blocks + [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in finished.tool_calls
    ]


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
    return [{"type": "message_start", "message": _message(started, content=[], num_output_tokens=0)}]


def _before(_started: Started, piece: AnswerPiece) -> Sequence[Chunk]:
    """The end of the block before, and the start of this piece's own."""
    if not piece.opens:
        return ()
    match piece.part:
        case "reasoning":
            block: Chunk = {"type": "thinking", "thinking": "", "signature": ""}
        case "tool":
            block = {"type": "tool_use", "id": piece.call_id, "name": piece.call_name, "input": {}}
        case _:
            block = {"type": "text", "text": ""}
    start = _start(piece.block, block)
    return [_stop(piece.block - 1), start] if piece.block else [start]


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    match piece.part:
        case "reasoning":
            delta = {"type": "thinking_delta", "thinking": piece.text}
        case "tool":
            delta = {"type": "input_json_delta", "partial_json": piece.text}
        case _:
            delta = {"type": "text_delta", "text": piece.text}
    return {"type": "content_block_delta", "index": piece.block, "delta": delta}


def _start(number: int, block: Chunk) -> Chunk:
    return {"type": "content_block_start", "index": number, "content_block": block}


def _stop(number: int) -> Chunk:
    return {"type": "content_block_stop", "index": number}


def _closing(_started: Started, finished: Finished) -> list[Chunk]:
    empty = not (finished.text or finished.reasoning or finished.tool_calls)
    return [
        *([_start(0, {"type": "text", "text": ""})] if empty else []),
        _stop(finished.num_blocks - 1),
        {
            "type": "message_delta",
            "delta": {"stop_reason": _REASONS[finished.finish], "stop_sequence": finished.stop_sequence},
            "usage": {"output_tokens": finished.num_output_tokens},
        },
        {"type": "message_stop"},
    ]


CLAUDE = Dialect(
    name="claude",
    read=_read,
    answer=_answer,
    opening=_opening,
    before=_before,
    piece=_piece,
    closing=_closing,
    defaults=_DEFAULTS,
)
