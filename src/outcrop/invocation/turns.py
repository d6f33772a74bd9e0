"""The turns of a conversation as chat templates take them, from content blocks in any provider's form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outcrop.invocation.exchange import ToolCall
from outcrop.tokens.prompt_format import join_blocks


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """The result of a call, in the words that the model gets to read."""

    call_id: str
    text: str


@dataclass(kw_only=True)
class TurnContent:
    """The content of one turn, block by block as it is read."""

    role: str
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[ToolResult] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The words of the turn."""
        return join_blocks(self.texts)


def result_text(texts: Sequence[str], *, failed: bool) -> str:
    """The words of a result. Chat templates have no place for its status, so an error says that it is one."""
    text = join_blocks(texts)
    return f"Error: {text}" if failed else text


def template_turns(contents: Sequence[TurnContent]) -> list[dict[str, Any]]:
    """All turns: each result is a turn of its own, before what the user says with it."""
    names = {call.id: call.name for content in contents for call in content.calls}
    return [turn for content in contents for turn in _turns_of(content, names)]


def _turns_of(content: TurnContent, names: Mapping[str, str]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": one.call_id, "name": names.get(one.call_id, ""), "content": one.text}
        for one in content.results
    ]
    if content.texts or not content.results:
        turn: dict[str, Any] = {"role": content.role, "content": content.text}
        if content.thoughts:
            turn["reasoning_content"] = "\n".join(content.thoughts)
        if content.calls:
            turn["tool_calls"] = [_called(call) for call in content.calls]
        turns.append(turn)
    return turns


def _called(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}


def as_json(value: Any) -> str:
    """A value as a model reads it."""
    return json.dumps(value, ensure_ascii=False)
