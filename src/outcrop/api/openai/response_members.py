"""Members of OpenAI's responses beside their items: what a request says, and what an answer repeats of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.api.openai import refusals
from outcrop.api.openai.members import settle
from outcrop.invocation.dialects.openai_members import SAMPLING
from outcrop.invocation.dialects.openai_messages import EFFORTS, named_choice, read_tools
from outcrop.invocation.exchange import Finish, Finished, Started
from outcrop.invocation.schema import Anything, Flag, Items, Malformed, Number, Schema, Struct, Text, Values

LOGPROBS = "message.output_text.logprobs"
_UNSERVED = {
    "background": "responses are made while their request waits. Leave it out.",
    "conversation": "conversations are not built in Outcrop. Use previous_response_id.",
    "context_management": "contexts are not made shorter here. Leave it out.",
    "max_tool_calls": "tools run at the client's, which counts them. Leave it out.",
    "prompt": "prompt templates are not built in Outcrop. Send instructions and input.",
    "moderation": "moderation is not built in Outcrop. Leave it out.",
}
_ONLY: dict[str, tuple[Any, ...]] = {"service_tier": ("auto", "default"), "truncation": ("disabled",)}
_TOOL = Struct(
    required={"type": Text(), "name": Text(least_length=1)},
    optional={"description": Anything(), "parameters": Anything(), "strict": Anything()},
)
_FORMAT: dict[str, Struct] = {
    "text": Struct(required={"type": Text()}),
    "json_object": Struct(required={"type": Text()}),
    "json_schema": Struct(
        required={"type": Text(), "name": Text(least_length=1), "schema": Values(of=Anything())},
        optional={"description": Anything(), "strict": Anything()},
    ),
}
_SAMPLING = {name: schema for name, schema in SAMPLING.items() if name not in ("max_tokens", "stop", "n", "logit_bias")}
_BODY: dict[str, Schema] = {
    **_SAMPLING,
    "input": Anything(),
    "instructions": Text(),
    "max_output_tokens": Number(least=1, integer=True),
    "previous_response_id": Text(),
    "store": Flag(),
    "tools": Items(of=Anything()),
    "tool_choice": Anything(),
    "parallel_tool_calls": Flag(),
    "text": Struct(optional={"format": Anything(), "verbosity": Text(one_of=("medium",))}),
    "reasoning": Struct(
        optional={"effort": Text(one_of=EFFORTS), "summary": Anything(), "generate_summary": Anything()}
    ),
    "include": Items(of=Text(one_of=(LOGPROBS,))),
    "top_logprobs": Number(least=0, most=20, integer=True),
}


@dataclass(frozen=True, kw_only=True)
class Understood:
    """A request for a response, as chat completions would ask for it, and what its answer repeats."""

    chat: dict[str, Any]
    "Members of a body of chat completions, without messages."
    instructions: str | None
    streams: bool
    stores: bool
    tells_logprobs: bool
    guardrail: Any
    "What the body says of the guardrail that its headers name."
    echoed: dict[str, Any]


def understand(body: Mapping[str, Any]) -> Understood:
    """Checks a body, all but its input. Refuses what is not served by its name."""
    served = {name: value for name, value in body.items() if (name, value) != ("background", False)}
    settled = settle(served, unserved=_UNSERVED, only=_ONLY)
    problems = Struct(optional=_BODY).violations(settled.body, "#")
    if problems:
        raise Malformed(problems)
    if settled.body.get("reasoning", {}).get("summary") or settled.body.get("reasoning", {}).get("generate_summary"):
        raise refusals.unserved("reasoning.summary", "thoughts are told as they are, not in short. Leave it out.")
    tells_logprobs = LOGPROBS in settled.body.get("include", [])
    if "top_logprobs" in settled.body and not tells_logprobs:
        raise refusals.invalid("top_logprobs", f"they are told where include holds {LOGPROBS}.")
    return Understood(
        chat=_chat(settled.body, tells_logprobs=tells_logprobs),
        instructions=settled.body.get("instructions"),
        streams=settled.streams,
        stores=settled.body.get("store", True),
        tells_logprobs=tells_logprobs,
        guardrail=settled.guardrail,
        echoed=_echoed(body),
    )


def begun(understood: Understood, started: Started) -> dict[str, Any]:
    """The response before its first item."""
    return {
        "id": f"resp_{started.id}",
        "object": "response",
        "created_at": int(started.created.timestamp()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": started.model_id,
        "output": [],
        "usage": None,
        **understood.echoed,
    }


def finished(
    begun: Mapping[str, Any], started: Started, answer: Finished, output: list[dict[str, Any]]
) -> dict[str, Any]:
    """The whole response."""
    reasons = {Finish.MAX_TOKENS: "max_output_tokens", Finish.CONTEXT: "max_output_tokens"}
    cut = {**reasons, Finish.GUARDRAIL: "content_filter"}.get(answer.finish)
    if cut and output:
        output = [*output[:-1], {**output[-1], "status": "incomplete"}]
    return {
        **begun,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "output": output,
        "usage": {
            "input_tokens": started.num_input_tokens,
            "input_tokens_details": {"cached_tokens": answer.num_cached},
            "output_tokens": answer.num_output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": started.num_input_tokens + answer.num_output_tokens,
        },
    }


def _chat(body: Mapping[str, Any], *, tells_logprobs: bool) -> dict[str, Any]:
    chat = {name: body[name] for name in (*_SAMPLING, "parallel_tool_calls") if name in body}
    if "max_output_tokens" in body:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if tells_logprobs:
        chat |= {"logprobs": True, "top_logprobs": body.get("top_logprobs", 0)}
    if "effort" in body.get("reasoning", {}):
        chat["reasoning_effort"] = body["reasoning"]["effort"]
    tools = [_tool(tool, number) for number, tool in enumerate(body.get("tools", []))]
    if tools:
        chat["tools"] = [{"type": "function", "function": tool} for tool in tools]
    if "tool_choice" in body:
        chat["tool_choice"] = _choice(body["tool_choice"], tools)
    given = body.get("text", {}).get("format")
    if given is not None:
        chat["response_format"] = _format(given)
    return chat


def _tool(tool: Any, number: int) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if isinstance(kind, str) and kind != "function":
        raise refusals.invalid(f"tools[{number}].type", f"{kind[:50]} is not built in Outcrop. Use function.")
    problems = _TOOL.violations(tool, f"#/tools/{number}")
    if problems:
        raise Malformed(problems)
    return {name: value for name, value in tool.items() if name != "type" and value is not None}


def _choice(given: Any, tools: list[dict[str, Any]]) -> Any:
    if isinstance(given, str):
        return given
    wanted = Struct(required={"type": Text(one_of=("function",)), "name": Text(least_length=1)})
    problems = wanted.violations(given, "#/tool_choice")
    if problems:
        raise Malformed(problems)
    named_choice(given["name"], read_tools(tools, at="#/tools"), at="#/tool_choice/name")
    return {"type": "function", "function": {"name": given["name"]}}


def _format(given: Any) -> dict[str, Any]:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in _FORMAT:
        wanted = Struct(required={"type": Text(one_of=tuple(_FORMAT))})
        raise Malformed(wanted.violations(given, "#/text/format")[:1])
    given = {name: value for name, value in given.items() if value is not None}
    problems = _FORMAT[kind].violations(given, "#/text/format")
    if problems:
        raise Malformed(problems)
    if kind != "json_schema":
        return {"type": kind}
    return {"type": kind, "json_schema": {"name": given["name"], "schema": given["schema"]}}


def _echoed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request that its response tells, with the values that hold where nothing was said."""
    text = {"format": {"type": "text"}, "verbosity": "medium", **body.get("text", {})}
    return {
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata", {}),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": body.get("reasoning", {}).get("effort"), "summary": None},
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": text,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [{"strict": True, "parameters": None, **tool} for tool in body.get("tools", [])],
        "top_logprobs": body.get("top_logprobs", 0),
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "background": False,
        "service_tier": "default",
        "user": body.get("user"),
    }
