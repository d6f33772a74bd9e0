"""The syntax of calls: found from each published template, and read as the template writes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.tokens.tool_calls import WrittenCall, read_calls
from outcrop.tokens.tool_syntax import CallKind, ToolSyntax
from tests.support.chat_templates import R1, SPECIAL_TOKENS, TEXT_TOKENS, WITH_TOOLS
from tests.support.small_tokenizers import CHATML, byte_level

SCHEMAS = {
    "weather": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "when": {"type": "object"}},
    },
    "now": {"type": "object", "properties": {}},
}
FIRST = WrittenCall("weather", {"city": "São {Paulo} </tool", "days": 3, "when": {"at": ["noon", None]}})
SECOND = WrittenCall("now", {})


def syntax_of(folder: Path, template: str) -> ToolSyntax:
    tokenizer = Tokenizer.open(byte_level(folder, chat_template=template, special=SPECIAL_TOKENS, added=TEXT_TOKENS))
    found = prompt_format.chat_habits(tokenizer).tool_syntax
    assert found is not None
    return found


def written(folder: Path, template: str, *calls: WrittenCall) -> str:
    """The calls as the template writes them, up to the end of the turn."""
    syntax = syntax_of(folder, template)
    tokenizer = Tokenizer.open(folder)
    as_text = syntax.arguments_as_text
    told: list[dict[str, Any]] = [
        {
            "id": "abcdef123",
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": json.dumps(call.arguments, ensure_ascii=False) if as_text else dict(call.arguments),
            },
        }
        for call in calls
    ]
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "well"},
        {"role": "assistant", "content": "", "tool_calls": told},
    ]
    tools = [{"type": "function", "function": {"name": "t", "description": "d", "parameters": {}}}]
    text = tokenizer.chat_text(turns, add_generation_prompt=False, tools=tools)
    prompt = tokenizer.chat_text(turns[:1], add_generation_prompt=True, tools=tools)
    assert text.startswith(prompt)
    end = tokenizer.token(prompt_format.chat_habits(tokenizer).end_id) or ""
    return text[len(prompt) :].partition(end)[0]


@pytest.mark.parametrize(
    ("name", "kind", "trigger", "end"),
    [
        ("hermes", CallKind.JSON, "<tool_call>", "</tool_call>"),
        ("qwen3", CallKind.JSON, "<tool_call>", "</tool_call>"),
        ("llama3", CallKind.JSON, "", ""),
        ("mistral", CallKind.JSON, "[TOOL_CALLS]", ""),
        ("mistral_named", CallKind.NAMED, "[TOOL_CALLS]", ""),
        ("mistral_ids", CallKind.NAMED, "[TOOL_CALLS]", ""),
        ("deepseek", CallKind.NAMED, "<|tool_calls_begin|>", "<|tool_calls_end|>"),
        ("coder", CallKind.TAGGED, "<tool_call>", "</tool_call>"),
    ],
)
def test_the_syntax_is_found_from_what_the_template_writes(
    name: str, kind: CallKind, trigger: str, end: str, tmp_path: Path
) -> None:
    found = syntax_of(tmp_path, WITH_TOOLS[name])
    assert (found.kind, found.trigger, found.end) == (kind, trigger, end)
    assert (found.between is None) == (name == "llama3")  # which says that it calls one tool a turn


@pytest.mark.parametrize("name", list(WITH_TOOLS))
def test_what_a_template_writes_for_a_call_is_read_as_that_call(name: str, tmp_path: Path) -> None:
    syntax = syntax_of(tmp_path, WITH_TOOLS[name])
    assert read_calls(syntax, written(tmp_path, WITH_TOOLS[name], FIRST), SCHEMAS) == [FIRST]
    if name != "coder":  # which writes no tag for arguments that are not there
        assert read_calls(syntax, written(tmp_path, WITH_TOOLS[name], SECOND), SCHEMAS) == [SECOND]


@pytest.mark.parametrize("name", [name for name in WITH_TOOLS if name != "llama3"])
def test_several_calls_of_a_turn_are_all_read(name: str, tmp_path: Path) -> None:
    syntax = syntax_of(tmp_path, WITH_TOOLS[name])
    assert read_calls(syntax, written(tmp_path, WITH_TOOLS[name], FIRST, FIRST), SCHEMAS) == [FIRST, FIRST]


@pytest.mark.parametrize("template", [CHATML, R1], ids=["chatml", "r1"])
def test_a_template_without_tools_has_no_syntax(template: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path, chat_template=template, special=SPECIAL_TOKENS))
    assert prompt_format.chat_habits(tokenizer).tool_syntax is None


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}',
        '<tool_call>{"arguments": {"city": "Oslo"},\n "name": "weather"}</tool_call>\n',
        '<tool_call>\n{"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}\n</tool_ca',
    ],
    ids=["ends early", "another order", "arguments as a text, half an end"],
)
def test_a_call_may_differ_in_what_means_nothing(text: str, tmp_path: Path) -> None:
    calls = read_calls(syntax_of(tmp_path, WITH_TOOLS["hermes"]), text, SCHEMAS)
    assert calls == [WrittenCall("weather", {"city": "Oslo"})]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"\n</tool_call>',
        '<tool_call>\n{"name": "other", "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "weather", "arguments": [1]}\n</tool_call>',
        "<tool_call>\nweather: Oslo\n</tool_call>",
        '<tool_call>\n{"name": "weather", "arguments": {}} and more\n</tool_call>',
        "<tool_call>\n</tool_call>",
    ],
    ids=["no JSON", "no such tool", "no arguments", "in words", "more than a call", "nothing"],
)
def test_what_is_no_whole_call_of_these_tools_is_none(text: str, tmp_path: Path) -> None:
    assert read_calls(syntax_of(tmp_path, WITH_TOOLS["hermes"]), text, SCHEMAS) is None
