"""Messages, tools and forms of answers as OpenAI's chat completions have them, read into a conversation."""

from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.invocation import json_schema
from outcrop.invocation.answer_form import form_of_response_format, form_of_structured_outputs
from outcrop.invocation.exchange import ANY, AUTO, NONE, ONE, AnswerForm, ChatPrompt, Tool
from outcrop.invocation.schema import Anything, Body, Flag, Items, Number, Schema, Struct, Text, malformed
from outcrop.protocol.values import json_text
from outcrop.tokens.prompt_format import join_blocks

_CALL = Struct(
    required={
        "id": Text(),
        "type": Text(one_of=("function",)),
        "function": Struct(required={"name": Text(), "arguments": Text()}),
    },
    optional={"index": Number(integer=True)},
)
_SAID: dict[str, Schema] = {"role": Text(), "name": Text()}
_MESSAGES: dict[str, Struct] = {
    "system": Struct(required={"content": Anything()}, optional=_SAID),
    "developer": Struct(required={"content": Anything()}, optional=_SAID),
    "user": Struct(required={"content": Anything()}, optional=_SAID),
    "assistant": Struct(
        optional={
            **_SAID,
            "content": Anything(),
            "tool_calls": Items(of=_CALL, least=1),
            "reasoning_content": Text(),
            "refusal": Text(),
            "annotations": Items(of=Anything()),
        }
    ),
    "tool": Struct(required={"content": Anything(), "tool_call_id": Text()}, optional=_SAID),
}
_ROLE = Text(one_of=tuple(_MESSAGES))
_FUNCTION = Struct(
    required={"name": Text(least_length=1)},
    optional={"description": Text(), "parameters": Anything(), "strict": Anything()},
)
_TOOL = Struct(required={"type": Text(one_of=("function",)), "function": _FUNCTION})
_ONE_TOOL = Struct(
    required={"type": Text(one_of=("function",)), "function": Struct(required={"name": Text(least_length=1)})}
)
_CHOICES = {"auto": AUTO, "required": ANY, "none": NONE}
_SCHEMA = Struct(
    required={"name": Text(least_length=1), "schema": Anything()},
    optional={"description": Text(), "strict": Anything()},
)
_FORMATS: dict[str, Struct] = {
    "text": Struct(required={"type": Text()}),
    "json_object": Struct(required={"type": Text()}),
    "json_schema": Struct(required={"type": Text(), "json_schema": _SCHEMA}),
}
_UNREAD = ("image_url", "input_image", "input_audio", "file", "input_file", "video_url", "audio_url")
"Kinds of content that OpenAI has, and no model here reads."
_NO_ARGUMENTS = {"type": "object", "properties": {}}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
MEMBERS: dict[str, Schema] = {
    "tools": Items(of=_TOOL),
    "tool_choice": Anything(),
    "parallel_tool_calls": Flag(),
    "response_format": Anything(),
    "structured_outputs": Anything(),
    "reasoning_effort": Text(one_of=EFFORTS),
}
"Members of a body beside its messages, as far as a schema can say."


def read_chat_prompt(body: Body) -> ChatPrompt:
    """The conversation of a body whose `messages` are a list. Raises Malformed."""
    turns = _turns(body["messages"])
    instructions = [turn["content"] for turn in turns if turn["role"] in ("system", "developer")]
    said = [turn for turn in turns if turn["role"] not in ("system", "developer")]
    if not said or said[0]["role"] != "user":
        raise malformed(["#/messages: expected a user message first"])
    tools = read_tools([tool["function"] for tool in body.get("tools", ())], at="#/tools", inner="/function")
    effort = body.get("reasoning_effort")
    return ChatPrompt(
        messages=said,
        system="\n\n".join(instructions) or None,
        tools=tools,
        tool_choice=_choice(body.get("tool_choice"), tools),
        parallel_tool_calls=body.get("parallel_tool_calls", True),
        thinking=None if effort is None else effort != "none",
    )


def read_form(body: Body) -> AnswerForm | None:
    """The form of answers that `response_format`, or vLLM's `structured_outputs`, asks for. Raises Invalid."""
    given = body.get("response_format")
    if "structured_outputs" in body:
        if given is not None:
            raise malformed(["#/structured_outputs: response_format is there too, leave out one of them"])
        return form_of_structured_outputs(body["structured_outputs"])
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in _FORMATS:
        wanted = Struct(required={"type": Text(one_of=tuple(_FORMATS))}, optional={"json_schema": Anything()})
        raise malformed(wanted.violations(given, "#/response_format"))
    problems = _FORMATS[kind].violations(given, "#/response_format")
    if problems:
        raise malformed(problems)
    return form_of_response_format(given)


def read_tools(functions: Sequence[Mapping[str, Any]], *, at: str, inner: str = "") -> tuple[Tool, ...]:
    """Functions as tools; `at` and `inner` are what stands before and behind their numbers in the body."""
    tools: list[Tool] = []
    for number, function in enumerate(functions):
        schema = function.get("parameters")
        if schema is not None and not isinstance(schema, dict):
            raise malformed(Struct().violations(schema, f"{at}/{number}{inner}/parameters"))
        if any(tool.name == function["name"] for tool in tools):
            raise malformed([f"{at}/{number}{inner}/name: {function['name']} is the name of a tool before it"])
        if function.get("strict") is True:
            json_schema.check(schema or _NO_ARGUMENTS, at=f"{at}/{number}{inner}/parameters"[2:].replace("/", "."))
        tools.append(
            Tool(
                name=function["name"],
                schema=schema or _NO_ARGUMENTS,
                description=function.get("description") or "",
                strict=function.get("strict") is True,
            )
        )
    return tuple(tools)


def named_choice(name: str, tools: Sequence[Tool], *, at: str) -> str:
    """The choice of one tool, which must be there."""
    if not any(tool.name == name for tool in tools):
        raise malformed([f"{at}: {name} is none of the tools"])
    return f"{ONE}{name}"


def content_text(content: Any, *, at: str, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text of a message's content: a string, or parts of text. Raises Malformed for parts of other kinds."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        kind_of = [part.get("type") for part in content]
        strange = next((number for number, kind in enumerate(kind_of) if kind not in kinds and kind in _UNREAD), None)
        if strange is not None:
            raise malformed([f"{at}/{strange}/type: {kind_of[strange]} is not read by this model, which reads text"])
    part = Struct(required={"type": Text(one_of=kinds), "text": Text()}, optional={"annotations": Anything()})
    problems = Items(of=part, least=1).violations(content, at)
    if problems:
        raise malformed(problems)
    return join_blocks([part["text"] for part in content])


def arguments_of(text: str, *, at: str) -> dict[str, Any]:
    """The arguments of a call, which clients send as the text they were given."""
    try:
        arguments = json_text.loads(text) if text.strip() else {}
    except json_text.NotJson as problem:
        raise malformed([f"{at}: not JSON, {problem}"]) from problem
    if not isinstance(arguments, dict):
        raise malformed([f"{at}: expected a JSON object as text"])
    return arguments


def _turns(messages: Sequence[Any]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for number, given in enumerate(messages):
        at = f"#/messages/{number}"
        message = (
            {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else given
        )
        turn = _turn(message, at)
        for call in turn.get("tool_calls", ()):
            names[call["id"]] = call["function"]["name"]
        if turn["role"] == "tool" and "name" not in turn:
            if turn["tool_call_id"] not in names:
                raise malformed([f"{at}/tool_call_id: no call before it has the id {turn['tool_call_id']}"])
            turn["name"] = names[turn["tool_call_id"]]
        turns.append(turn)
    return turns


def _turn(message: Any, at: str) -> dict[str, Any]:
    if not isinstance(message, dict) or "role" not in message:
        raise malformed(Struct(required={"role": _ROLE}, optional={}).violations(message, at)[:1])
    problems = _ROLE.violations(message["role"], f"{at}/role") or _MESSAGES[message["role"]].violations(message, at)
    if problems:
        raise malformed(problems)
    role, calls = message["role"], message.get("tool_calls", [])
    if "content" in message or not calls:
        kinds = ("text", "refusal") if role == "assistant" else ("text",)
        if "content" not in message:
            raise malformed([f"{at}: required key [content] not found"])
        content = content_text(_refused_as_text(message["content"]), at=f"{at}/content", kinds=kinds)
    else:
        content = ""
    kept = {key: message[key] for key in ("name", "tool_call_id", "reasoning_content") if key in message}
    read = [_call(call, f"{at}/tool_calls/{number}/function/arguments") for number, call in enumerate(calls)]
    return {"role": role, "content": content, **kept, **({"tool_calls": read} if read else {})}


def _refused_as_text(content: Any) -> Any:
    """Parts in which an assistant refused, as its text."""
    if not isinstance(content, list):
        return content
    return [
        {"type": "text", "text": part["refusal"]}
        if isinstance(part, dict) and part.get("type") == "refusal" and isinstance(part.get("refusal"), str)
        else part
        for part in content
    ]


def _call(call: Mapping[str, Any], at: str) -> dict[str, Any]:
    arguments = arguments_of(call["function"]["arguments"], at=at)
    function = {"name": call["function"]["name"], "arguments": arguments}
    return {"id": call["id"], "type": "function", "function": function}


def _choice(given: Any, tools: Sequence[Tool]) -> str:
    if given is None:
        return AUTO
    if isinstance(given, str):
        problems = Text(one_of=tuple(_CHOICES)).violations(given, "#/tool_choice")
        if not problems and given == "required" and not tools:
            problems = ["#/tool_choice: required, and no tools are there"]
    else:
        problems = _ONE_TOOL.violations(given, "#/tool_choice")
    if problems:
        raise malformed(problems)
    if isinstance(given, str):
        return _CHOICES[given]
    return named_choice(given["function"]["name"], tools, at="#/tool_choice/function/name")
