"""Turns in Anthropic's form, checked in Anthropic's words."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.exchange import ToolCall
from outcrop.invocation.turns import ToolResult, TurnContent, result_text, template_turns
from outcrop.tokens.prompt_format import join_blocks

_BLOCKS = {
    "user": ("text", "tool_result"),
    "assistant": ("redacted_thinking", "text", "thinking", "tool_use"),
}


def read_turns(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """The turns of a conversation. Raises Invalid where it is none."""
    if not messages:
        raise Invalid("messages: at least one message is required")
    contents = [_content(message, at=f"messages.{number}") for number, message in enumerate(messages)]
    if contents[0].role != "user":
        raise Invalid('messages: first message must use the "user" role')
    for before, after in pairwise(contents):
        if before.role == after.role:
            raise Invalid(
                'messages: roles must alternate between "user" and "assistant", '
                f'but found multiple "{after.role}" roles in a row'
            )
    last = contents[-1]
    if last.role == "assistant" and last.text != last.text.rstrip():
        raise Invalid("messages: final assistant content cannot end with trailing whitespace")
    _check_calls(contents)
    return template_turns(contents)


def read_system(value: Any) -> str:
    """The system prompt, of text blocks or a text."""
    if value is None or isinstance(value, str):
        return value or ""
    return join_blocks([_block_text(block, at=f"system.{number}") for number, block in enumerate(value)])


def _check_calls(contents: Sequence[TurnContent]) -> None:
    """Every call has its result in the next turn, and every result its call."""
    asked: list[str] = []
    for number, content in enumerate([*contents, TurnContent(role="user")]):
        told = [result.call_id for result in content.results]
        missing = [call_id for call_id in asked if call_id not in told]
        if missing:
            raise Invalid(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        extra = [call_id for call_id in told if call_id not in asked]
        if extra:
            raise Invalid(
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(extra)}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        asked = [call.id for call in content.calls]
        if len(set(asked)) < len(asked):
            raise Invalid(f"messages.{number}: `tool_use` ids must be unique")


def _content(message: Any, *, at: str) -> TurnContent:
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
    content = _blocks(role, message["content"], at=f"{at}.content")
    if not (content.text or content.calls or content.results or content.thoughts):
        raise Invalid("messages: text content blocks must be non-empty")
    return content


def _blocks(role: str, given: Any, *, at: str) -> TurnContent:
    content = TurnContent(role=role)
    if isinstance(given, str):
        content.texts.append(given)
        return content
    if not isinstance(given, list):
        raise Invalid(f"{at}: Input should be a valid list")
    for number, block in enumerate(given):
        _read_block(content, block, at=f"{at}.{number}")
    return content


def _read_block(content: TurnContent, block: Any, *, at: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in _BLOCKS[content.role]:
        raise _wrong_tag(kind, _BLOCKS[content.role], at)
    match kind:
        case "tool_use":
            arguments = _member(block, "input", at)
            if not isinstance(arguments, dict):
                raise Invalid(f"{at}.tool_use.input: Input should be a valid dictionary")
            call_id, name = _text_member(block, "id", at), _text_member(block, "name", at)
            content.calls.append(ToolCall(id=call_id, name=name, arguments=arguments))
        case "tool_result":
            text = result_text(_result_texts(block, at), failed=block.get("is_error") is True)
            content.results.append(ToolResult(call_id=_text_member(block, "tool_use_id", at), text=text))
        case "thinking":
            content.thoughts.append(_text_member(block, "thinking", at))
        case "text":
            content.texts.append(_block_text(block, at=at))


def _result_texts(block: dict[str, Any], at: str) -> list[str]:
    given = block.get("content", [])
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise Invalid(f"{at}.tool_result.content: Input should be a valid list")
    return [_block_text(one, at=f"{at}.tool_result.content.{number}") for number, one in enumerate(given)]


def _block_text(block: Any, *, at: str) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind != "text":
        raise _wrong_tag(kind, ("text",), at)
    if not isinstance(block.get("text"), str):
        raise Invalid(f"{at}.text: Input should be a valid string")
    return str(block["text"])


def _member(block: dict[str, Any], key: str, at: str) -> Any:
    if key not in block:
        raise Invalid(f"{at}.{block['type']}.{key}: Field required")
    return block[key]


def _text_member(block: dict[str, Any], key: str, at: str) -> str:
    value = _member(block, key, at)
    if not isinstance(value, str):
        raise Invalid(f"{at}.{block['type']}.{key}: Input should be a valid string")
    return value


def _wrong_tag(kind: Any, expected: Sequence[str], at: str) -> Invalid:
    tags = ", ".join(f"'{tag}'" for tag in expected)
    return Invalid(f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}")
