"""Turns in the form of Converse and Nova, checked in Converse's words and made into a conversation."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.exchange import ChatPrompt, ToolCall
from outcrop.invocation.tool_config import OfferedTools
from outcrop.invocation.turns import ToolResult, TurnContent, as_json, result_text, template_turns
from outcrop.tokens.prompt_format import join_blocks

_FIRST = "A conversation must start with a user message. Try again with a conversation that starts with a user message."
_ALTERNATE = (
    "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between "
    "user and assistant roles and try again."
)
_NO_CONFIG = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
_SPEAKERS = {"toolUse": "assistant", "reasoningContent": "assistant", "toolResult": "user"}


def read_conversation(
    messages: Sequence[Mapping[str, Any]],
    system: Sequence[Mapping[str, Any]],
    offered: OfferedTools | None = None,
    *,
    thinking: bool | None = None,
) -> ChatPrompt:
    """The conversation of a model that reads text and may call tools.

    Raises Invalid where it is none, or holds what no such model reads.
    """
    if not messages or messages[0]["role"] != "user":
        raise Invalid(_FIRST)
    if any(before["role"] == after["role"] for before, after in pairwise(messages)):
        raise Invalid(_ALTERNATE)
    contents = [_content(message, at=f"messages.{number}") for number, message in enumerate(messages)]
    offered = offered or OfferedTools()
    _check_calls(contents, offered)
    return ChatPrompt(
        messages=template_turns(contents),
        system=_system(system) or None,
        tools=offered.tools,
        tool_choice=offered.choice,
        thinking=thinking,
    )


def _check_calls(contents: Sequence[TurnContent], offered: OfferedTools) -> None:
    """Every call has its result in the next turn, and every result its call."""
    if any(content.calls or content.results for content in contents) and not offered.tools:
        raise Invalid(_NO_CONFIG)
    asked: list[str] = []
    for number, content in enumerate([*contents, TurnContent(role="user")]):
        at = f"messages.{number}.content"
        told = [result.call_id for result in content.results]
        missing = [call_id for call_id in asked if call_id not in told]
        if missing:
            raise Invalid(f"Expected toolResult blocks at {at} for the following Ids: {', '.join(missing)}")
        if len(told) > len(asked):
            raise Invalid(
                f"The number of toolResult blocks at {at} exceeds the number of toolUse blocks of previous turn."
            )
        asked = [call.id for call in content.calls]
        twice = sorted({one for one in asked if asked.count(one) > 1})
        if twice:
            raise Invalid(f"The toolUse blocks at {at} contain duplicate Ids: {', '.join(twice)}")


def _content(message: Mapping[str, Any], *, at: str) -> TurnContent:
    _check_filled(message["content"], at=at)
    content = TurnContent(role=message["role"])
    for number, block in enumerate(message["content"]):
        _read_block(content, block, at=f"{at}.content.{number}")
    return content


def _check_filled(blocks: Sequence[Mapping[str, Any]], *, at: str) -> None:
    if not blocks:
        raise Invalid(
            f"The content field in the Message object at {at} is empty. Add a ContentBlock object to the content field "
            "and try again."
        )


def _read_block(content: TurnContent, block: Mapping[str, Any], *, at: str) -> None:
    kind = next(iter(block), "empty")
    if _SPEAKERS.get(kind, content.role) != content.role:
        raise Invalid(f"A {kind} block belongs in a message of the {_SPEAKERS[kind]}. Move the one at {at}.")
    match kind:
        case "toolUse":
            call = block["toolUse"]
            content.calls.append(ToolCall(id=call["toolUseId"], name=call["name"], arguments=_input(call, at)))
        case "toolResult":
            content.results.append(_result(block["toolResult"], at=f"{at}.toolResult"))
        case "reasoningContent":
            # What a provider has encrypted says nothing to anybody else, and the model needs no thoughts of the past.
            if "reasoningText" in block["reasoningContent"]:
                content.thoughts.append(block["reasoningContent"]["reasoningText"]["text"])
        case _:
            text = _block_text(block, at=at)
            if text is not None:
                content.texts.append(text)


def _input(call: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    if not isinstance(call["input"], Mapping):
        raise Invalid(f"The value at {at}.toolUse.input must be an object.")
    return call["input"]


def _result(result: Mapping[str, Any], *, at: str) -> ToolResult:
    failed = result.get("status") == "error"
    texts = [_result_block(block, at=f"{at}.content.{number}") for number, block in enumerate(result["content"])]
    if failed and not texts:
        raise Invalid(f"The content field at {at} cannot be empty when status value is error.")
    return ToolResult(call_id=result["toolUseId"], text=result_text(texts, failed=failed))


def _result_block(block: Mapping[str, Any], *, at: str) -> str:
    if "json" in block:
        return as_json(block["json"])
    if "text" in block:
        return str(block["text"])
    raise _unsupported(block, at)


def _system(blocks: Sequence[Mapping[str, Any]]) -> str:
    texts = [_block_text(block, at=f"system.{number}") for number, block in enumerate(blocks)]
    return join_blocks([text for text in texts if text is not None])


def _block_text(block: Mapping[str, Any], *, at: str) -> str | None:
    if "text" in block:
        if not block["text"].strip():
            raise Invalid(
                f"The text field in the ContentBlock object at {at} is blank. Add text to the text field, and try "
                "again."
            )
        return str(block["text"])
    # Marked for a guardrail, which has looked at it by now; to the model it is text as any other.
    if "text" in block.get("guardContent", {}):
        return _block_text(block["guardContent"]["text"], at=f"{at}.guardContent.text")
    # A cache point asks for speed, not for another answer.
    if "cachePoint" in block:
        return None
    raise _unsupported(block, at)


def _unsupported(block: Mapping[str, Any], at: str) -> Invalid:
    kind = next(iter(block), "empty")
    return Invalid(f"This model doesn't support {kind} content. Remove the {kind} block at {at} and try again.")
