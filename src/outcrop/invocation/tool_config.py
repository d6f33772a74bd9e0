"""The tools of a request in Converse's form, which is Nova's too, and the model's choice among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation import json_schema
from outcrop.invocation.exchange import ANY, AUTO, ONE, Tool

_OBJECT = "The value at toolConfig.tools.{}.toolSpec.inputSchema.json.type must be one of the following: object."


@dataclass(frozen=True, kw_only=True)
class OfferedTools:
    """The tools that a request offers the model, and its choice among them."""

    tools: tuple[Tool, ...] = ()
    choice: str = AUTO


def read_tool_config(config: Mapping[str, Any] | None) -> OfferedTools:
    """The tools of a toolConfig; none where it names none. Raises Invalid in Converse's words where it has some."""
    listed = (config or {}).get("tools") or []
    tools = [_tool(tool, number) for number, tool in enumerate(listed) if "cachePoint" not in tool]
    names = [tool.name for tool in tools]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"toolConfig.tools: several tools are named {twice[0]!r}. Give each tool a name of its own.")
    return OfferedTools(tools=tuple(tools), choice=_choice((config or {}).get("toolChoice") or {}, names))


def _tool(tool: Mapping[str, Any], number: int) -> Tool:
    spec = tool.get("toolSpec")
    if spec is None:
        kind = next(iter(tool), "empty")
        raise Invalid(
            f"This model doesn't support {kind} tools. Remove the one at toolConfig.tools.{number} and try again."
        )
    schema = spec["inputSchema"].get("json")
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise Invalid(_OBJECT.format(number))
    if spec.get("strict"):
        json_schema.check(schema, at=f"toolConfig.tools.{number}.toolSpec.inputSchema.json")
    return Tool(
        name=spec["name"],
        description=spec.get("description", ""),
        schema=schema,
        strict=bool(spec.get("strict", False)),
    )


def _choice(choice: Mapping[str, Any], names: Sequence[str]) -> str:
    if "any" in choice:
        return ANY
    if "tool" not in choice:
        return AUTO
    name = choice["tool"]["name"]
    if name not in names:
        raise Invalid(
            f"toolConfig.toolChoice.tool.name: no tool is named {name!r}. Name one of toolConfig.tools: "
            f"{', '.join(names)}."
        )
    return ONE + str(name)
