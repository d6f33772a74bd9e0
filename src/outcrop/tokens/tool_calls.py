"""The calls in an answer, read in the syntax of the model's chat template."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.tokens.tool_syntax import CALL_ID, CallKind, ToolSyntax

_NAME = r"(?P<name>[\w.-]+)"


class WrittenCall(NamedTuple):
    """A call as a model wrote it."""

    name: str
    arguments: Mapping[str, Any]


Schemas = Mapping[str, Mapping[str, Any]]
"The schemas of the arguments, by the names of the tools."


def read_calls(syntax: ToolSyntax, text: str, tools: Schemas) -> list[WrittenCall] | None:
    """The calls that a region of an answer holds. None where it holds anything but whole calls of these tools."""
    body = text.strip().removeprefix(syntax.trigger)
    head = syntax.before.strip().removeprefix(syntax.trigger)
    read = _read_json if syntax.kind is CallKind.JSON else _read_named
    calls = read(syntax, head, body, tools)
    return calls if calls and all(call.name in tools for call in calls) else None


def _read_json(syntax: ToolSyntax, head: str, body: str, _tools: Schemas) -> list[WrittenCall] | None:
    calls: list[WrittenCall] = []
    rest = _past(head, body)
    while rest is not None and rest.strip(" \n,;"):
        rest = rest.lstrip(" \n,;")
        value, end = _decoded(rest)
        for call in value if isinstance(value, list) else [value]:
            if (read := _call_of(syntax, call)) is None:
                return None
            calls.append(read)
        rest = _next(syntax, rest[end:])
    return None if rest is None else calls


def _call_of(syntax: ToolSyntax, call: Any) -> WrittenCall | None:
    if not isinstance(call, dict) or not isinstance(call.get(syntax.name_key), str):
        return None
    arguments = call.get(syntax.arguments_key, {})
    if isinstance(arguments, str):
        arguments, _ = _decoded(arguments)
    return WrittenCall(call[syntax.name_key], arguments) if isinstance(arguments, dict) else None


def _read_named(syntax: ToolSyntax, head: str, body: str, tools: Schemas) -> list[WrittenCall] | None:
    calls: list[WrittenCall] = []
    rest: str | None = body
    while rest is not None and rest.strip():
        begun = re.match(rf"\s*{_loose(head)}\s*{_NAME}\s*{_loose(syntax.middle)}\s*", rest)
        if begun is None:
            return None
        read = _arguments(syntax, rest[begun.end() :], tools.get(begun["name"], {}))
        if read is None:
            return None
        calls.append(WrittenCall(begun["name"], read[0]))
        rest, head = _next(syntax, read[1]), ""
    return None if rest is None else calls


def _next(syntax: ToolSyntax, rest: str) -> str | None:
    """The text from the next call on, empty where the calls end. None where something else follows."""
    if syntax.between is not None and (further := _past(syntax.between, rest)):
        return further
    return _past(syntax.after, rest)


def _past(literal: str, text: str) -> str | None:
    """The text behind a literal piece, of which an answer that ended early has the beginning. None without it."""
    found = re.match(rf"\s*{_loose(literal)}", text)
    if found is not None:
        return text[found.end() :]
    return "" if "".join(literal.split()).startswith("".join(text.split())) else None


def _arguments(syntax: ToolSyntax, text: str, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], str] | None:
    """The arguments at the beginning of a text, and the text behind them."""
    if syntax.kind is CallKind.NAMED:
        value, end = _decoded(text)
        return (value, text[end:]) if isinstance(value, dict) else None
    arguments: dict[str, Any] = {}
    opening, between, closing = map(_loose, (syntax.opening_argument, syntax.key_to_value, syntax.closing_argument))
    one = re.compile(rf"\s*{opening}\s*(?P<key>[^<>\n]+?)\s*{between}\n?(?P<value>.*?)\n?\s*{closing}", re.DOTALL)
    while (found := one.match(text)) is not None:
        key = found["key"]
        arguments[key] = _value(found["value"], schema.get("properties", {}).get(key))
        text = text[found.end() :]
    return arguments, text


def _value(text: str, schema: Any) -> Any:
    """A value that stands between tags: texts are written as they are, all others as JSON."""
    if isinstance(schema, dict) and schema.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _decoded(text: str) -> tuple[Any, int]:
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None, 0
    return value, end


def _loose(literal: str) -> str:
    """An expression for a literal piece: white space may differ, and ids and numbers are anybody's."""
    words = literal.replace(CALL_ID, "\0").split()
    return r"\s*".join(re.sub(r"\d+", r"\\d+", re.escape(word)).replace("\0", r"[\w-]+") for word in words)
