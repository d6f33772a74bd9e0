"""Turns in the form of Converse and Nova, checked in Converse's words and made into a plain conversation of texts."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.exchange import ChatPrompt
from outcrop.tokens.prompt_format import join_blocks

_FIRST = "A conversation must start with a user message. Try again with a conversation that starts with a user message."
_ALTERNATE = (
    "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between "
    "user and assistant roles and try again."
)
_TOOLS = ("toolUse", "toolResult")


def read_conversation(messages: Sequence[Mapping[str, Any]], system: Sequence[Mapping[str, Any]]) -> ChatPrompt:
    """The conversation of a model that reads text. Raises Invalid where it is none, or holds anything but text."""
    if not messages or messages[0]["role"] != "user":
        raise Invalid(_FIRST)
    if any(before["role"] == after["role"] for before, after in pairwise(messages)):
        raise Invalid(_ALTERNATE)
    turns = [
        {"role": message["role"], "content": _text_of(message["content"], at=f"messages.{number}")}
        for number, message in enumerate(messages)
    ]
    return ChatPrompt(messages=turns, system=_text_of(system, at="system", empty=True) or None)


def _text_of(blocks: Sequence[Mapping[str, Any]], *, at: str, empty: bool = False) -> str:
    if not blocks and not empty:
        raise Invalid(
            f"The content field in the Message object at {at} is empty. Add a ContentBlock object to the content field "
            "and try again."
        )
    field = at if empty else f"{at}.content"
    texts = [_block_text(block, at=f"{field}.{number}") for number, block in enumerate(blocks)]
    return join_blocks([text for text in texts if text is not None])


def _block_text(block: Mapping[str, Any], *, at: str) -> str | None:
    if "text" in block:
        if not block["text"].strip():
            raise Invalid(
                f"The text field in the ContentBlock object at {at} is blank. Add text to the text field, and try "
                "again."
            )
        return str(block["text"])
    # A cache point asks for speed, not for another answer.
    if "cachePoint" in block:
        return None
    kind = next(iter(block), "empty")
    if kind in _TOOLS:
        raise Invalid(f"This model doesn't support tool use. Remove the {kind} block at {at} and try again.")
    raise Invalid(f"This model doesn't support {kind} content. Remove the {kind} block at {at} and try again.")
