"""Records of other programs, made into Bedrock's forms by rules that a report can state.

Alpaca, dolly   instruction, input or context, output or response    ->  prompt, completion
ShareGPT        conversations of from and value                      ->  messages of role and content
OpenAI          messages with tools and their calls                  ->  the same, written by the chat template
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from outcrop.datasets.flaws import Flaw, ShapeError, kind
from outcrop.datasets.records import Customization

TURNS = ("conversations", "conversation", "dialog", "dialogue", "items", "contents", "turns")
"Keys under which other programs keep a conversation."
_SPEAKERS = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "assistant", "bard", "bing", "model", "bot", "ai"), "assistant"),
    "system": "system",
}
_MEANINGFUL_OF_TURN = ("weight", "train", "loss", "image", "images", "tool_calls")
"Left out in silence, these would change what is learned."


class Conversion(NamedTuple):
    """A rule by which records were converted, for the report."""

    form: str
    rule: str


WITH_TOOLS = Conversion(
    "OpenAI's form with tools (tools, tool_calls)", "tools, calls and results are written by the base's chat template"
)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A record in one of Bedrock's forms, made of one in another."""

    value: dict[str, Any]
    conversion: Conversion
    left_out: frozenset[str]
    "Keys of the record that no rule uses."
    field_of: Callable[[str], str]
    "The record's own path for one of the converted value's."


def convert(value: Mapping[str, Any], customization: Customization) -> Converted | None:
    """The record converted, None where no rule is for it. Raises ShapeError for one that its rule does not take."""
    if customization != "FINE_TUNING" or ("prompt" in value and "completion" in value):
        return None
    turns = next((key for key in TURNS if _are_from_value(value.get(key))), None)
    if turns is not None:
        return _sharegpt(value, turns)
    if "messages" in value:
        return _with_tools(value) if has_tools(value) else None
    if "instruction" in value and "output" in value:
        return _instruction(value, "Alpaca", "input", "output")
    if "instruction" in value and "response" in value:
        return _instruction(value, "dolly", "context", "response")
    return None


def has_tools(value: Mapping[str, Any]) -> bool:
    """Whether a conversation tells of tools, their calls or their results."""
    turns = value.get("messages")
    told = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    return "tools" in value or any("tool_calls" in turn or turn.get("role") == "tool" for turn in told)


def _are_from_value(turns: Any) -> bool:
    first = turns[0] if isinstance(turns, list) and turns else None
    return isinstance(first, dict) and "from" in first and "value" in first


def _instruction(value: Mapping[str, Any], program: str, about: str, answer: str) -> Converted:
    flaws = [
        Flaw(key, "not part of a prompt with its completion", 'Write {"system": "…", "messages": […]} for it.')
        for key in ("system", "history")
        if value.get(key)
    ]
    instruction, more = value["instruction"], value.get(about)
    if not isinstance(more, str | None):
        flaws.append(Flaw(about, f"expected a string, found {kind(more)}", "Write a text, or leave it out."))
    if flaws:
        raise ShapeError(flaws)
    whole = isinstance(instruction, str) and instruction.strip() and more and more.strip()
    names = {"prompt": "instruction", "completion": answer}
    return Converted(
        value={"prompt": f"{instruction}\n\n{more}" if whole else instruction, "completion": value[answer]},
        conversion=Conversion(
            f"{program}'s form (instruction, {about}, {answer})",
            f"prompt = instruction, and after an empty line {about} where there is one; completion = {answer}",
        ),
        left_out=frozenset(value.keys() - {"instruction", about, answer, "system", "history"}),
        field_of=lambda field: names.get(field, field),
    )


def _sharegpt(value: Mapping[str, Any], key: str) -> Converted:
    if value.get("tools"):
        mend = "Write OpenAI's form: tools, and messages with tool_calls and the role tool."
        raise ShapeError([Flaw("tools", "not read beside turns of from and value", mend)])
    system = {"system": value["system"]} if value.get("system") else {}
    turns = [_turn(turn) for turn in value[key]]
    beside = {name for turn in value[key] if isinstance(turn, dict) for name in turn} - {"from", "value"}
    return Converted(
        value={**system, "messages": turns},
        conversion=Conversion(
            f"ShareGPT's form ({key} of from and value)",
            f"messages = {key}; role = user for human, assistant for gpt; content = value",
        ),
        left_out=frozenset(value.keys() - {key, "system", "tools"})
        | {f"{key}[].{name}" for name in beside.difference(_MEANINGFUL_OF_TURN)},
        field_of=lambda field: (
            field.replace("messages", key, 1).replace(".content", ".value").replace(".role", ".from")
        ),
    )


def _turn(turn: Any) -> Any:
    if not isinstance(turn, dict):
        return turn
    speaker = turn.get("from")
    role = _SPEAKERS.get(speaker.strip().lower(), speaker) if isinstance(speaker, str) else speaker
    kept = {name: turn[name] for name in _MEANINGFUL_OF_TURN if name in turn}
    return {"role": role, "content": turn.get("value"), **kept}


def _with_tools(value: Mapping[str, Any]) -> Converted:
    return Converted(value=dict(value), conversion=WITH_TOOLS, left_out=frozenset(), field_of=lambda field: field)
