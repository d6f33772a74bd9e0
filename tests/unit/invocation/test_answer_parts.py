"""The parts of an answer: told apart alike however the text is cut, and nothing of it lost."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.invocation.answer_parts import AnswerPart, AnswerParts
from outcrop.invocation.answer_syntax import AnswerSyntax
from outcrop.tokens.thought_tags import ThoughtPlace, ThoughtTags
from outcrop.tokens.tool_syntax import CallKind, ToolSyntax

TAGS = ThoughtTags("<think>", "</think>")
HERMES = ToolSyntax(
    kind=CallKind.JSON,
    before="<tool_call>\n",
    after="\n</tool_call>",
    between="\n</tool_call>\n<tool_call>\n",
    keys=("name", "arguments"),
    name_key="name",
    arguments_key="arguments",
)
LLAMA = ToolSyntax(
    kind=CallKind.JSON,
    before="",
    after="",
    between=None,
    keys=("name", "parameters"),
    name_key="name",
    arguments_key="parameters",
)
SCHEMAS: Mapping[str, Mapping[str, Any]] = {"weather": {}, "now": {}}
OSLO = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo <tool_call>"}}\n</tool_call>'
NOW = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
BROKEN = '<tool_call>\n{"name": "weather", "arguments": {"city": }}\n</tool_call>'


def syntax(**changes: Any) -> AnswerSyntax:
    return AnswerSyntax(
        **{"tools": HERMES, "schemas": SCHEMAS, "tags": TAGS, "thought": ThoughtPlace.POSSIBLE, **changes}
    )


def told(pieces: Sequence[str], of: AnswerSyntax) -> list[tuple[str, str]]:
    """Kind and text of each part, neighbours of one kind put together."""
    parts = AnswerParts(of)
    found = [part for piece in pieces for part in parts.push(piece)] + parts.finish()
    together: list[tuple[str, str]] = []
    for part in found:
        kind, text = part.kind, _written(part)
        if together and together[-1][0] == kind and kind != "tool":
            text = together.pop()[1] + text
        together.append((kind, text))
    return together


def _written(part: AnswerPart) -> str:
    return part.text if part.call is None else f"{part.call.name} {json.dumps(part.call.arguments)}"


CALLED = ("tool", 'weather {"city": "Oslo <tool_call>"}')
UNSOUND = [
    f'<tool_call>\n{{"name": "weather", "arguments": {{"city": {value}}}}}\n</tool_call>'
    for value in ("NaN", "-Infinity", '"\\ud800"', "1" * 5000, "[" * 300 + "]" * 300, "[" * 20000 + "]" * 20000)
]
CASES = [
    ("plain words", syntax(), [("text", "plain words")]),
    ("  words, <b> and \n", syntax(), [("text", "  words, <b> and \n")]),
    (f"I look.\n{OSLO}", syntax(), [("text", "I look."), CALLED]),
    (f"{OSLO}\n{NOW}", syntax(), [CALLED, ("tool", "now {}")]),
    (f"{OSLO}\n{NOW}", syntax(one_call=True), [CALLED]),
    (f"{OSLO}\nThere.", syntax(), [CALLED, ("text", "There.")]),
    (BROKEN, syntax(), [("text", BROKEN)]),
    (f"{BROKEN}\n{NOW}", syntax(), [("text", BROKEN), ("tool", "now {}")]),
    ("half <tool_ca", syntax(), [("text", "half <tool_ca")]),
    ('<tool_call>\n{"name": "weath', syntax(), [("text", '<tool_call>\n{"name": "weath')]),
    ("<think>\nhm, well\n</think>\n\nSo.", syntax(), [("reasoning", "hm, well"), ("text", "So.")]),
    (f"<think>hm</think>{OSLO}", syntax(), [("reasoning", "hm"), CALLED]),
    ("hm </think> So.", syntax(thought=ThoughtPlace.OPENED), [("reasoning", "hm"), ("text", " So.")]),
    ("hm, never done ", syntax(thought=ThoughtPlace.OPENED), [("reasoning", "hm, never done")]),
    ("<think>\n\n</think>\n\nSo.", syntax(), [("text", "So.")]),
    ("<thin air", syntax(), [("text", "<thin air")]),
    ("a <think>b</think>", syntax(), [("text", "a <think>b</think>")]),
    ("<think>a</think>", syntax(thought=ThoughtPlace.NONE), [("text", "<think>a</think>")]),
    (f"<think>{NOW}</think>", syntax(), [("reasoning", NOW)]),
    ('{"name": "now", "parameters": {}}', syntax(tools=LLAMA), [("tool", "now {}")]),
    (' {"answer": {"a": "}"}} yes', syntax(tools=LLAMA), [("text", ' {"answer": {"a": "}"}} yes')]),
    ('It is {"name": "now", "parameters": {}}', syntax(tools=LLAMA), [("text", 'It is {"name": "now", "parameters": {}}')]),
    *((text, syntax(), [("text", text)]) for text in UNSOUND),
    ("", syntax(), []),
    ("as it is </think> <tool_call>", AnswerSyntax(), [("text", "as it is </think> <tool_call>")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "of", "parts"), CASES, ids=range(len(CASES)))
def test_thoughts_words_and_calls_are_told_apart(text: str, of: AnswerSyntax, parts: list[tuple[str, str]]) -> None:
    assert told([text], of) == parts
    assert told(list(text), of) == parts


@given(case=st.sampled_from(CASES), cuts=st.sets(st.integers(0, 90)))
def test_it_does_not_matter_how_the_text_is_cut(case: Any, cuts: set[int]) -> None:
    text, of, parts = case
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    assert told([text[a:b] for a, b in pairwise(places)], of) == parts


def test_words_leave_at_once_where_no_tag_may_begin() -> None:
    parts = AnswerParts(syntax())
    assert [part.text for part in parts.push("It is 5 < 6")] == ["It is 5 < 6"]
    assert parts.push(" <tool") == []
    assert [part.text for part in parts.push("s>")] == [" <tools>"]


def test_half_a_call_is_never_shown() -> None:
    parts = AnswerParts(syntax())
    for letter in OSLO[:-1]:
        assert parts.push(letter) == []
    (call,) = parts.push(OSLO[-1])
    assert call.call is not None
    assert call.call.id.startswith("tooluse_")


def test_a_special_token_begins_calls_where_the_template_has_one() -> None:
    mistral = ToolSyntax(
        kind=CallKind.JSON, before="[TOOL_CALLS] ", after="", between=", ", keys=("name", "arguments", "id"),
        name_key="name", arguments_key="arguments", id_key="id", in_list=True,
    )  # fmt: skip
    parts = AnswerParts(syntax(tools=mistral, tags=None, thought=ThoughtPlace.NONE))
    assert parts.push("well ") == [AnswerPart("text", "well")]
    assert parts.push("[TOOL_CALLS]", special=True) == []
    found = parts.push(' [{"name": "now", "arguments": {}, "id": "abcdefghi"}]')
    assert [part.call.name for part in found if part.call] == ["now"]
    assert parts.push("<|other|>", special=True) == [AnswerPart("special", "<|other|>")]


def test_the_token_that_ends_an_answer_is_no_part_of_a_call_that_forgot_its_end() -> None:
    parts = AnswerParts(syntax())
    assert parts.push(OSLO.removesuffix("</tool_call>")) == []
    assert parts.push("<|im_end|>", special=True) == []
    (call,) = parts.finish()
    assert call.call is not None
    assert call.call.arguments == {"city": "Oslo <tool_call>"}
