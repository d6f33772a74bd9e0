"""Items of OpenAI's responses: those of an input become messages, and an answer becomes those of an output."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.api.openai import refusals
from outcrop.invocation.dialects.openai import call_of, logprob_of
from outcrop.invocation.dialects.openai_messages import content_text
from outcrop.invocation.exchange import Finished, ToolCall
from outcrop.invocation.schema import Anything, Malformed, Schema, Struct, Text
from outcrop.invocation.text_logprobs import TextLogprob

_TEXTS = ("input_text", "output_text", "text", "refusal")
_TOLD: dict[str, Schema] = {"type": Text(), "id": Text(), "status": Anything()}
_ITEMS: dict[str, Struct] = {
    "message": Struct(
        required={"role": Text(one_of=("user", "assistant", "system", "developer")), "content": Anything()},
        optional={**_TOLD, "phase": Anything()},
    ),
    "function_call": Struct(required={"call_id": Text(), "name": Text(), "arguments": Text()}, optional=_TOLD),
    "function_call_output": Struct(required={"call_id": Text(), "output": Anything()}, optional=_TOLD),
    "reasoning": Struct(
        optional={**_TOLD, "summary": Anything(), "content": Anything(), "encrypted_content": Anything()}
    ),
}


def items_of(given: Any) -> list[dict[str, Any]]:
    """The items of an input, which may be a text. Refuses those of kinds that are not served."""
    if given is None:
        raise refusals.missing("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if not isinstance(given, list) or not given:
        raise refusals.invalid("input", "expected a text or a list of items.", code="invalid_type")
    return [_checked(item, number) for number, item in enumerate(given)]


def messages_of(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages that items stand for; an assistant's thoughts, words and calls in a row are one message."""
    messages: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        at = f"#/input/{number}"
        if item["type"] == "function_call_output":
            output = content_text(_as_text(item["output"]), at=f"{at}/output")
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": output})
        elif item["type"] == "message" and item["role"] != "assistant":
            messages.append({"role": item["role"], "content": _content(item, at)})
        else:
            _add_to_turn(_open_turn(messages), item, at)
    return [message for message in messages if message["role"] != "assistant" or message.keys() != {"role"}]


def output_items(finished: Finished, *, tells_logprobs: bool) -> list[dict[str, Any]]:
    """The items of a whole answer."""
    items = [reasoning_item(new_id("rs"), finished.reasoning)] if finished.reasoning else []
    if finished.text or not finished.tool_calls:
        logprobs = finished.logprobs if tells_logprobs else ()
        items.append(message_item(new_id("msg"), finished.text, logprobs))
    return items + [call_item(new_id("fc"), call) for call in finished.tool_calls]


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(24)}"


def message_item(item_id: str, text: str, logprobs: Sequence[TextLogprob] = ()) -> dict[str, Any]:
    part = text_part(text, logprobs)
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def text_part(text: str, logprobs: Sequence[TextLogprob] = ()) -> dict[str, Any]:
    told = [logprob_of(one) for one in logprobs]
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


def reasoning_item(item_id: str, text: str) -> dict[str, Any]:
    part = {"type": "reasoning_text", "text": text}
    return {"id": item_id, "type": "reasoning", "summary": [], "content": [part], "status": "completed"}


def call_item(item_id: str, call: ToolCall) -> dict[str, Any]:
    function = call_of(call)["function"]
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": function["name"],
        "arguments": function["arguments"],
    }


def _checked(item: Any, number: int) -> dict[str, Any]:
    at = f"#/input/{number}"
    if not isinstance(item, dict):
        raise Malformed(Struct().violations(item, at))
    item = {name: value for name, value in item.items() if value is not None}
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        raise refusals.invalid(f"input[{number}].type", f"items of type {str(kind)[:50]} are not served.")
    problems = _ITEMS[kind].violations(item, at)
    if problems:
        raise Malformed(problems)
    return {**item, "type": kind}


def _open_turn(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message that goes on, or a new one."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant"})
    return messages[-1]


def _add_to_turn(turn: dict[str, Any], item: Mapping[str, Any], at: str) -> None:
    if item["type"] == "reasoning":
        parts = item.get("content") or []
        thought = "".join(part.get("text", "") for part in parts if isinstance(part, dict))
        if thought:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + thought
    elif item["type"] == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        turn.setdefault("tool_calls", []).append({"id": item["call_id"], "type": "function", "function": function})
    else:
        said = _content(item, at)
        turn["content"] = f"{turn['content']}\n{said}" if turn.get("content") else said


def _content(item: Mapping[str, Any], at: str) -> str:
    return content_text(_as_text(item["content"]), at=f"{at}/content")


def _as_text(content: Any) -> Any:
    """Parts of the kinds that an input has, as those that chat completions have."""
    if not isinstance(content, list):
        return content
    return [
        {"type": "text", "text": part.get("text", part.get("refusal"))}
        if isinstance(part, dict) and part.get("type") in _TEXTS
        else part
        for part in content
    ]
