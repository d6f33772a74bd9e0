"""The syntax in which one chat template writes the calls of tools, found by rendering calls with marked parts.

What the template writes for a call is what the model was trained to write, and so what is read in its answers
(`tool_calls.py`). Three kinds cover the templates that are about: calls as JSON with the name in it (Qwen 2.5 and 3,
Hermes, Llama, Mistral's older ones, Phi, Granite), a name before the JSON of its arguments (Mistral's newer ones,
DeepSeek, Kimi), and each argument between tags of its own (Qwen3-Coder, GLM).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from outcrop.tokens.chat_template import Messages, Tools

NAME, CALL_ID = "qtoolq", "qcallidqq"  # some templates take ids of nine letters only
_ARGUMENTS = {"qargumentq": "qvalueq", "qfurtherq": "qotherq"}
_DESCRIPTION, _RESULT = "qwhatq", "qresultq"
_TAG = re.compile(r"<[^<>\s]+>|\[[^\[\]\s\"{}]+\]")
_OPENED = re.compile(r"(<[^<>\s]+>|\[[^\[\]\s]+\])\s*$")

Write = Callable[[Messages, bool, Tools], str | None]
"The text of a conversation, and whether the assistant speaks next; None where the template does not take it."


class CallKind(Enum):
    """Where a call has its name and its arguments."""

    JSON = "both in a JSON object"
    NAMED = "the name in plain text, the arguments as a JSON object behind it"
    TAGGED = "the name in plain text, each argument between tags"


@dataclass(frozen=True, kw_only=True)
class ToolSyntax:
    """The calls of one template, in literal pieces around names and arguments."""

    kind: CallKind
    before: str
    "Before the JSON, or before the name where that is plain text."
    after: str
    "Behind the arguments of the last call, up to the token that ends the turn."
    between: str | None
    "From the end of one call to the name (or JSON) of the next, or between list elements; None: one call a turn."
    middle: str = ""
    "From the name to the arguments, where the name is plain text."
    keys: tuple[str, ...] = ()
    "Of the JSON object of a call, in order; the id's is among them where the template writes one."
    name_key: str = ""
    arguments_key: str = ""
    id_key: str = ""
    in_list: bool = False
    "Whether the calls of a turn are one JSON list."
    separators: tuple[str, str] = (", ", ": ")
    "Of items and keys, as the template writes JSON."
    opening_argument: str = ""
    key_to_value: str = ""
    closing_argument: str = ""
    "Around each argument, where each has tags of its own."
    arguments_as_text: bool = False
    "Whether the template wants the arguments as JSON text instead of an object."
    writes_ids: bool = False

    @property
    def trigger(self) -> str:
        """The text with which calls begin; empty where an answer that begins as JSON is a call."""
        head = self.before.strip()
        tag = _TAG.match(head)
        return tag.group() if tag else head

    @property
    def end(self) -> str:
        """The text with which the calls of one region end; empty where they end with their JSON."""
        tail = self.after.strip()
        tags = list(_TAG.finditer(tail))
        return tags[-1].group() if tags and tags[-1].end() == len(tail) else tail

    @property
    def json_begins(self) -> str:
        """The letters with which the JSON of a call may begin; none where it has no JSON."""
        return {CallKind.JSON: "{[", CallKind.NAMED: "{", CallKind.TAGGED: ""}[self.kind]


def find_syntax(write: Write, asked: Messages) -> ToolSyntax | None:
    """The syntax of the template that `write` renders; None where it does not write tools, calls and results."""
    return _find(write, asked, as_text=False) or _find(write, asked, as_text=True)


def _find(write: Write, asked: Messages, *, as_text: bool) -> ToolSyntax | None:
    tools = [_tool()]
    told = write([*asked, _calling(1, as_text), _result()], True, tools) or ""
    marks = (_DESCRIPTION, *_ARGUMENTS, *_ARGUMENTS.values(), _RESULT)
    if not all(mark in told for mark in marks) or told.count(NAME) < 2:
        return None
    one = _said(write, asked, 1, tools, as_text)
    if one is None:
        return None
    two = _said(write, asked, 2, tools, as_text)
    found = _as_json(one, two) or _as_named(one, two) or _as_tagged(one, two)
    if found is None:
        return None
    return ToolSyntax(**found, arguments_as_text=as_text, writes_ids=CALL_ID in one)


def _tool() -> dict[str, Any]:
    properties = {key: {"type": "string"} for key in _ARGUMENTS}
    parameters = {"type": "object", "properties": properties, "required": list(_ARGUMENTS)}
    return {"type": "function", "function": {"name": NAME, "description": _DESCRIPTION, "parameters": parameters}}


def _calling(number: int, as_text: bool) -> dict[str, Any]:
    arguments = json.dumps(_ARGUMENTS) if as_text else dict(_ARGUMENTS)
    call = {"id": CALL_ID, "type": "function", "function": {"name": NAME, "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call] * number}


def _result() -> dict[str, Any]:
    return {"role": "tool", "content": _RESULT, "tool_call_id": CALL_ID, "name": NAME}


def _said(write: Write, asked: Messages, number: int, tools: Tools, as_text: bool) -> str | None:
    """The text of a turn that calls, up to the token that ends it."""
    question = asked[-1]["content"]
    prompt = write(asked, True, tools)
    whole = write([*asked, _calling(number, as_text)], False, tools)
    answered = write([*asked, {"role": "assistant", "content": "qanswerq"}], False, tools)
    if prompt is None or whole is None or answered is None or question not in prompt or question not in whole:
        return None
    led = _behind(prompt, question)
    said = _behind(whole, question)
    for before in (led, _OPENED.sub("", led)):
        if said.startswith(before):
            return _without_end(said[len(before) :], _behind(answered, "qanswerq"))
    return None


def _behind(text: str, mark: str) -> str:
    return text[text.rindex(mark) + len(mark) :]


def _without_end(said: str, ending: str) -> str:
    """A turn without what the template writes behind every turn, and without the thought before it."""
    last = max(said.rfind(mark) + len(mark) for mark in (NAME, *_ARGUMENTS.values()))
    end = _TAG.search(ending)
    at = said.find(end.group() if end else ending.strip() or "\0", last)
    said = said[:at] if at >= 0 else said
    thought = said.rfind("</think>", 0, said.find(NAME))
    return said[thought + len("</think>") :].lstrip("\n") if thought >= 0 else said


def _as_json(one: str, two: str | None) -> dict[str, Any] | None:
    for start in _places(one, "{["):
        value, end = _decoded(one, start)
        call = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(call, dict) or NAME not in call.values() or _ARGUMENTS not in call.values():
            continue
        keys = {_key(call, part): part for part in (NAME, _ARGUMENTS, CALL_ID) if part in call.values()}
        if set(keys) != set(call):
            continue  # a value that is nobody's: what the template means by it is not known
        in_list = isinstance(value, list)
        return {
            "kind": CallKind.JSON,
            "before": one[:start],
            "after": one[end:],
            "between": _between_json(two, in_list),
            "keys": tuple(call),
            "name_key": _key(call, NAME),
            "arguments_key": _key(call, _ARGUMENTS),
            "id_key": _key(call, CALL_ID) if CALL_ID in call.values() else "",
            "in_list": in_list,
            "separators": _separators(one[start:end]),
        }
    return None


def _as_named(one: str, two: str | None) -> dict[str, Any] | None:
    name = one.find(NAME)
    for start in _places(one, "{"):
        value, end = _decoded(one, start)
        if value == _ARGUMENTS and name < start:
            between = None
            if two is not None and (second := two.find(NAME, end)) >= 0:
                between = two[end:second]
            return {
                "kind": CallKind.NAMED,
                "before": one[:name],
                "after": one[end:],
                "between": between,
                "middle": one[name + len(NAME) : start],
                "separators": _separators(one[start:end]),
            }
    return None


def _as_tagged(one: str, two: str | None) -> dict[str, Any] | None:
    """Pieces around two arguments: what stands before both keys opens an argument, the rest between them closes it."""
    (key, value), (further, other) = _ARGUMENTS.items()
    places = [one.find(mark) for mark in (NAME, key, value, further, other)]
    if -1 in places or places != sorted(places):
        return None
    named, first, valued, second, last = places
    to_first, to_second = one[named + len(NAME) : first], one[valued + len(value) : second]
    opening = _common_end(to_first, to_second)
    closing = to_second[: len(to_second) - len(opening)]
    tail = one[last + len(other) :]
    if not opening or not closing or not tail.startswith(closing):
        return None
    between = None
    if two is not None and (again := two.find(NAME, last)) >= 0:
        between = two[last + len(other) + len(closing) : again]
    return {
        "kind": CallKind.TAGGED,
        "before": one[:named],
        "after": tail[len(closing) :],
        "between": between,
        "middle": to_first[: len(to_first) - len(opening)],
        "opening_argument": opening,
        "key_to_value": one[first + len(key) : valued],
        "closing_argument": closing,
    }


def _between_json(two: str | None, in_list: bool) -> str | None:
    if two is None:
        return None
    for start in _places(two, "{["):
        value, end = _decoded(two, start)
        if in_list and isinstance(value, list) and len(value) == 2:
            return ", "
        if not in_list and isinstance(value, dict) and NAME in value.values():
            further = two.find("{", end)
            return two[end:further] if further >= 0 else None
    return None


def _places(text: str, letters: str) -> Iterator[int]:
    return (at for at, letter in enumerate(text) if letter in letters)


def _decoded(text: str, start: int) -> tuple[Any, int]:
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None, start
    return value, end


def _key(call: Mapping[str, Any], value: Any) -> str:
    return next(key for key, found in call.items() if found == value)


def _separators(text: str) -> tuple[str, str]:
    items = re.search(r'"\s*(,\s*)"', text)
    keys = re.search(r'"(\s*:\s*)["{]', text)
    return (items.group(1) if items else ", "), (keys.group(1) if keys else ": ")


def _common_end(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return one[len(one) - length :]
