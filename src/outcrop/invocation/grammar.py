"""The grammar of an answer as one Lark text: its form, its calls of tools, and the thought before them."""

import re
from collections.abc import Sequence

from outcrop.errors import Invalid
from outcrop.invocation import schema_grammar
from outcrop.invocation.answer_form import quoted
from outcrop.invocation.exchange import (
    ANY,
    AUTO,
    ONE,
    AnswerForm,
    ChatPrompt,
    Grammar,
    JsonObject,
    JsonSchema,
    RawPrompt,
    TokensPrompt,
    Tool,
)
from outcrop.tokens.thought_tags import ThoughtPlace, ThoughtTags
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.tokens.tool_syntax import CALL_ID, CallKind, ToolSyntax

_TEXT = r"/(?s:.)*/"
_ID = "/[a-zA-Z0-9]{9}/"
"The id of a call: nine letters are what the narrowest template takes."


def grammar_of(
    tokenizer: Tokenizer,
    prompt: RawPrompt | TokensPrompt | ChatPrompt,
    form: AnswerForm | None,
    *,
    syntax: ToolSyntax | None,
    stop_ids: Sequence[int],
    thought: ThoughtPlace,
    tags: ThoughtTags | None,
) -> str | None:
    """The grammar that an answer must follow; None where every answer will do.

    Raises Invalid for an answer that is begun already, which no grammar was told of.
    """
    tools = _enforced(prompt, form)
    if form is None and not tools:
        return None
    if isinstance(prompt, ChatPrompt) and prompt.messages[-1]["role"] == "assistant":
        raise Invalid(
            "An answer that the request begins itself cannot be held to a form or a tool. End the conversation with a "
            "user message."
        )
    if isinstance(form, Grammar) and form.kind == "lark" and not tools and thought is ThoughtPlace.NONE:
        return form.text
    writer = _Lark(tokenizer, stop_ids)
    alternatives = []
    if tools:
        assert isinstance(prompt, ChatPrompt), "only conversations have tools"
        assert syntax is not None, "tools of a template that has none are refused before"
        alternatives.append(_calls(writer, syntax, prompt, tools))
    if form is not None and not _must_call(prompt):
        alternatives.append(_form(writer, form))
    elif tools and not _must_call(prompt):
        # An answer that begins as JSON is a call where nothing else tells a call.
        alternatives.append(writer.rule("plain", _TEXT if syntax and syntax.trigger else r"/([^{\s](?s:.)*)?/"))
    answer = writer.rule("answer", " | ".join(alternatives))
    return writer.text(f"{_thought(writer, thought, tags)}{answer}".strip())


def _enforced(prompt: RawPrompt | TokensPrompt | ChatPrompt, form: AnswerForm | None) -> tuple[Tool, ...]:
    """The tools whose calls the grammar holds: all that may be called, where an answer is held at all."""
    if not isinstance(prompt, ChatPrompt):
        return ()
    if prompt.tool_choice.startswith(ONE):
        return tuple(tool for tool in prompt.tools if tool.name == prompt.tool_choice.removeprefix(ONE))
    held = form is not None or any(tool.strict for tool in prompt.tools)
    return prompt.tools if prompt.tool_choice == ANY or (prompt.tool_choice == AUTO and held) else ()


def _must_call(prompt: RawPrompt | TokensPrompt | ChatPrompt) -> bool:
    return isinstance(prompt, ChatPrompt) and (prompt.tool_choice == ANY or prompt.tool_choice.startswith(ONE))


class _Lark:
    """A Lark text that is being written, rule by rule."""

    def __init__(self, tokenizer: Tokenizer, stop_ids: Sequence[int]) -> None:
        self._special = {tokenizer.token(one) or "": one for one in tokenizer.special_ids}
        self._ends = {tokenizer.token(one) or "" for one in stop_ids}
        self._rules: list[str] = []

    def rule(self, name: str, body: str) -> str:
        """Write a rule under a name that begins so, and return the name."""
        unique = f"{name}_{len(self._rules)}"
        self._rules.append(f"{unique}: {body}")
        return unique

    def lazy(self, name: str, body: str) -> str:
        """Write a rule that takes as little as it can."""
        unique = f"{name}_{len(self._rules)}"
        self._rules.append(f"{unique}[lazy]: {body}")
        return unique

    def literal(self, text: str) -> str:
        """A piece of text in which special tokens stand as tokens, up to one that ends an answer."""
        found = sorted((name for name in self._special if name and name in text), key=len, reverse=True)
        token = re.compile("|".join(map(re.escape, found)) or r"(?!)")
        parts, tokens = token.split(text), token.findall(text)
        written = [_with_ids(parts[0])] if parts[0] else []
        for name, part in zip(tokens, parts[1:], strict=True):
            if name in self._ends:
                break
            written.append(f"<[{self._special[name]}]>")
            written += [_with_ids(part)] if part else []
        return " ".join(written)

    def is_special(self, text: str) -> bool:
        """Whether a text is a token that decodes to nothing."""
        return text in self._special

    def text(self, start: str) -> str:
        """The whole grammar."""
        return "\n".join([f"start: {start}", *self._rules])


def _up_to(tag: str, length: str = "*") -> str:
    """Any text of some length up to a tag and with it, as the body of a lazy rule."""
    return f"/(?s:.){length}{re.escape(tag)}/".replace("\\\n", r"\n").replace("</", r"<\/").replace("[/", r"[\/")


def _with_ids(text: str) -> str:
    """A text with any id in the place of the marked one."""
    first, *others = (quoted(piece) if piece else "" for piece in text.split(CALL_ID))
    return " ".join([first, *(f"{_ID} {piece}".strip() for piece in others)]).strip()


def _form(writer: _Lark, form: AnswerForm) -> str:
    match form:
        case JsonSchema():
            return writer.rule("form", schema_grammar.in_grammar(form.schema))
        case JsonObject():
            return writer.rule("form", schema_grammar.in_grammar({"type": "object"}))
        case Grammar(kind="regex"):
            return writer.rule("form", _regex(form.text))
    raise Invalid(
        "A grammar cannot be held beside tools or a model that thinks. Leave tools out, turn thinking off, or give a "
        "JSON schema or a regular expression."
    )


def _regex(text: str) -> str:
    """An expression as Lark has it, between slashes."""
    return "/" + re.sub(r"(?<!\\)((?:\\\\)*)/", r"\1\\/", text).replace("\n", r"\n") + "/"


def _thought(writer: _Lark, place: ThoughtPlace, tags: ThoughtTags | None) -> str:
    """A thought before the answer, which is opened or which the model may open."""
    if tags is None or place is ThoughtPlace.NONE:
        return ""
    if writer.is_special(tags.closing):
        rest = f"{_TEXT} {writer.literal(tags.closing)}"
    else:
        rest = writer.lazy("thought", _up_to(tags.closing))
    rest = f"{rest} /\\n{{0,2}}/"
    if place is ThoughtPlace.OPENED:
        return f"{writer.rule('thought', rest)} "
    opened = writer.rule("thought", f"{writer.literal(tags.opening)} {rest}")
    return f"{opened}? "


def _calls(writer: _Lark, syntax: ToolSyntax, prompt: ChatPrompt, tools: Sequence[Tool]) -> str:
    """The calls of an answer, and the words before them where it may have some."""
    calls = [_call(writer, syntax, tool) for tool in tools]
    one = writer.rule("call", " | ".join(calls))
    several = prompt.parallel_tool_calls and syntax.between is not None and not prompt.tool_choice.startswith(ONE)
    further = f" ({writer.literal(syntax.between or '')} {one})*" if several else ""
    before, after = syntax.before, syntax.after
    if syntax.kind is CallKind.JSON and syntax.in_list:
        before, after = f"{before}[", f"]{after}"
    body = f"{one}{further} {writer.literal(after)}".strip()
    if _must_call(prompt) or not syntax.trigger or not any(tool.strict for tool in tools):
        return writer.rule("calls", f"{writer.literal(before)} {body}".strip())
    rest = before[before.index(syntax.trigger) + len(syntax.trigger) :]
    if writer.is_special(syntax.trigger):
        led = f"{_TEXT} {writer.literal(syntax.trigger)}"
    else:
        led = writer.lazy("words", _up_to(syntax.trigger))
    return writer.rule("calls", f"{led} {writer.literal(rest)} {body}".strip())


def _call(writer: _Lark, syntax: ToolSyntax, tool: Tool) -> str:
    match syntax.kind:
        case CallKind.JSON:
            return writer.rule("call_json", _json_call(writer, syntax, tool))
        case CallKind.NAMED:
            arguments = writer.rule("arguments", _schema(syntax, tool))
            return writer.rule("call_named", f"{writer.literal(tool.name + syntax.middle)} {arguments}")
        case CallKind.TAGGED:
            return writer.rule("call_tagged", _tagged_call(writer, syntax, tool))


def _json_call(writer: _Lark, syntax: ToolSyntax, tool: Tool) -> str:
    items, keys = syntax.separators
    parts: list[str] = []
    for number, key in enumerate(syntax.keys):
        led = f'{items if number else "{"}"{key}"{keys}'
        if key == syntax.name_key:
            parts.append(quoted(f'{led}"{tool.name}"'))
        elif key == syntax.id_key:
            parts.append(f"{quoted(led + chr(34))} {_ID} {quoted(chr(34))}")
        else:
            parts += [quoted(led), writer.rule("arguments", _schema(syntax, tool))]
    return " ".join([*parts, quoted("}")])


def _schema(syntax: ToolSyntax, tool: Tool) -> str:
    """The schema of a tool's arguments. Only of a strict tool, what cannot be held of it is a problem."""
    return schema_grammar.in_grammar(tool.schema, lenient=not tool.strict, separators=syntax.separators)


def _tagged_call(writer: _Lark, syntax: ToolSyntax, tool: Tool) -> str:
    """A call with each argument between tags: texts as they are, all others as JSON."""
    parts = [writer.literal(tool.name + syntax.middle)]
    required = tool.schema.get("required", [])
    for key, schema in tool.schema.get("properties", {}).items():
        value = _tagged_value(writer, syntax, tool, schema)
        led = writer.literal(f"{syntax.opening_argument}{key}{syntax.key_to_value}")
        one = writer.rule("argument", f"{led} {value}")
        parts.append(one if key in required else f"{one}?")
    return " ".join(parts)


def _tagged_value(writer: _Lark, syntax: ToolSyntax, tool: Tool, schema: object) -> str:
    closing = syntax.closing_argument
    if isinstance(schema, dict) and schema.get("type") == "string":
        texts = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if texts is not None:
            return f"({' | '.join(quoted(str(one)) for one in texts)}) {writer.literal(closing)}"
        if tool.strict and schema.keys() & {"pattern", "format"}:
            raise Invalid(
                f"The tool {tool.name!r} is strict, and this model writes texts as they are, so no pattern or format "
                "can be enforced. Leave strict out, or the pattern."
            )
        return writer.lazy("text", _up_to(closing, f"{{{schema.get('minLength', 0)},{schema.get('maxLength', '')}}}"))
    named = {key: tool.schema[key] for key in ("$defs", "definitions") if key in tool.schema}
    whole = {**schema, **named} if isinstance(schema, dict) else schema
    value = schema_grammar.in_grammar(whole, lenient=not tool.strict, separators=syntax.separators)
    return f"{value} {writer.literal(closing)}"
