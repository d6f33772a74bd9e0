"""Tools of a conversation, in OpenAI's form, as chat templates read them.

{"tools": [{"type": "function", "function": {"name": "…", "description": "…", "parameters": {…}}}],
 "messages": [{"role": "user", …},
              {"role": "assistant", "content": null,
               "tool_calls": [{"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}]},
              {"role": "tool", "tool_call_id": "…", "content": "…"},
              {"role": "assistant", …}]}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.datasets import json_lines
from outcrop.datasets.flaws import Flaw, kind

_TOOL = '{"type": "function", "function": {"name": "…", "parameters": {…}}}'
_CALL = '{"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}'


def tools_of(given: Any, flaws: list[Flaw]) -> tuple[Mapping[str, Any], ...]:
    """The tools that a record names; what is wrong with them is added to `flaws`."""
    if not isinstance(given, list) or not given:
        what = "empty" if given == [] else f"expected a list, found {kind(given)}"
        flaws.append(Flaw("tools", what, f"Leave it out, or write [{_TOOL}, …]."))
        return ()
    for number, tool in enumerate(given):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            flaws.append(Flaw(f"tools[{number}]", "no function with a name", f"Write {_TOOL}."))
    return tuple(given)


def calls_of(given: Any, at: str, flaws: list[Flaw]) -> list[dict[str, Any]]:
    """The calls of one turn, their arguments as objects, which is how templates read them."""
    if not isinstance(given, list) or not given:
        what = "empty" if given == [] else f"expected a list, found {kind(given)}"
        flaws.append(Flaw(at, what, f"Leave it out, or write [{_CALL}, …]."))
        return []
    calls = [_call(call, f"{at}[{number}]", flaws) for number, call in enumerate(given)]
    return [call for call in calls if call is not None]


def _call(call: Any, at: str, flaws: list[Flaw]) -> dict[str, Any] | None:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        flaws.append(Flaw(at, "no function with a name", f"Write {_CALL}."))
        return None
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json_lines.parse(arguments.encode("utf-8", "surrogatepass"), json_lines.ELEMENT)
        except json_lines.JsonError as error:
            flaws.append(Flaw(f"{at}.function.arguments", error.what, "Write the arguments as one JSON object."))
            return None
    if not isinstance(arguments, dict):
        found = f"expected an object, found {kind(arguments)}"
        flaws.append(Flaw(f"{at}.function.arguments", found, "Write the arguments as one JSON object."))
        return None
    return {**call, "function": {**function, "arguments": arguments}}


def check_order(turns: Sequence[Mapping[str, Any]], *, first: int) -> Flaw | None:
    """The first break in the order of turns: user, then calls and their results in turn, then the answer."""
    expected: tuple[str, ...] = ("user",)
    asked: list[Any] = []
    for number, turn in enumerate(turns):
        at = f"messages[{number + first}]"
        if turn["role"] not in expected:
            what = f"expected {' or '.join(expected)}, found {turn['role']}"
            return Flaw(f"{at}.role", what, "A call is followed by its results, and these by the assistant.")
        if turn["role"] == "tool":
            if turn.get("tool_call_id") not in asked:
                what = f"no call before it has the id {turn.get('tool_call_id')!r}"
                return Flaw(f"{at}.tool_call_id", what, "Write the id of the call that it answers.")
            asked.remove(turn["tool_call_id"])
            expected = ("tool",) if asked else ("assistant",)
        elif turn["role"] == "assistant":
            asked = [call.get("id") for call in turn.get("tool_calls", ())]
            expected = ("tool",) if asked else ("user",)
        else:
            expected = ("assistant",)
    if not turns or turns[-1]["role"] != "assistant":
        what = f"the last turn is the {turns[-1]['role']}'s" if turns else "no turns"
        return Flaw("messages", what, "End the conversation with what the assistant should say.")
    return None
