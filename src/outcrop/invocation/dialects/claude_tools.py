"""Tools in Anthropic's form, checked in Anthropic's words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation import json_schema
from outcrop.invocation.exchange import ANY, AUTO, NONE, ONE, Tool
from outcrop.invocation.schema import Body

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES = {"auto": AUTO, "any": ANY, "none": NONE}
_READ = {"type", "name", "description", "input_schema", "strict", "cache_control"}


@dataclass(frozen=True, kw_only=True)
class OfferedByClaude:
    """The tools that a body offers the model, and what it may do with them."""

    tools: tuple[Tool, ...] = ()
    choice: str = AUTO
    parallel: bool = True


def read_tools(body: Body) -> OfferedByClaude:
    """The tools of a body. Raises Invalid where they are none that could be called."""
    tools = [_tool(tool, f"tools.{number}") for number, tool in enumerate(body.get("tools") or [])]
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise Invalid("tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice is None:
        return OfferedByClaude(tools=tuple(tools))
    if not tools:
        raise Invalid("tool_choice: may only be specified while providing tools")
    return OfferedByClaude(
        tools=tuple(tools),
        choice=_choice(choice, names),
        parallel=not choice.get("disable_parallel_tool_use", False),
    )


def _tool(tool: Any, at: str) -> Tool:
    if not isinstance(tool, dict):
        raise Invalid(f"{at}: Input should be a valid dictionary")
    kind = tool.get("type", "custom")
    if kind not in ("custom", None):
        raise Invalid(f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'custom'")
    at = f"{at}.custom"
    for key in ("name", "input_schema"):
        if key not in tool:
            raise Invalid(f"{at}.{key}: Field required")
    extra = sorted(tool.keys() - _READ)
    if extra:
        raise Invalid(f"{at}.{extra[0]}: Extra inputs are not permitted")
    if not isinstance(tool["name"], str) or not _NAME.fullmatch(tool["name"]):
        raise Invalid(f"{at}.name: String should match pattern '^{_NAME.pattern}$'")
    return Tool(
        name=tool["name"],
        description=_description(tool, at),
        schema=_schema(tool, at),
        strict=tool.get("strict") is True,
    )


def _description(tool: dict[str, Any], at: str) -> str:
    described = tool.get("description", "")
    if not isinstance(described, str):
        raise Invalid(f"{at}.description: Input should be a valid string")
    return described


def _schema(tool: dict[str, Any], at: str) -> dict[str, Any]:
    schema = tool["input_schema"]
    if not isinstance(schema, dict):
        raise Invalid(f"{at}.input_schema: Input should be a valid dictionary")
    if "type" not in schema:
        raise Invalid(f"{at}.input_schema.type: Field required")
    if schema["type"] != "object":
        raise Invalid(f"{at}.input_schema.type: Input should be 'object'")
    if tool.get("strict") is True:
        json_schema.check(schema, at=f"{at}.input_schema")
    return schema


def _choice(choice: dict[str, Any], names: Sequence[str]) -> str:
    kind = choice.get("type")
    if kind in _CHOICES:
        return _CHOICES[kind]
    if kind != "tool":
        raise Invalid(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'any', "
            "'auto', 'none', 'tool'"
        )
    if "name" not in choice:
        raise Invalid("tool_choice.tool.name: Field required")
    if choice["name"] not in names:
        raise Invalid(f"tool_choice: Tool '{choice['name']}' not found in provided tools")
    return ONE + str(choice["name"])
