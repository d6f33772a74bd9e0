"""The form of an answer: read from each provider's field, refused with a pointer, and given to the engine as a grammar."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.invocation import converse, invoke, json_schema, schema_grammar
from outcrop.invocation.answer_form import form_of_response_format, form_of_structured_outputs
from outcrop.invocation.exchange import Grammar, JsonObject, JsonSchema
from tests.support.chat_templates import HERMES, QWEN3, R1
from tests.support.spoken_target import chatting, speaking

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED: dict[str, Any] = {"role": "user", "content": [{"text": "Two?"}]}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def text_format(schema: Any) -> dict[str, Any]:
    written = schema if isinstance(schema, str) else json.dumps(schema)
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": written, "name": "n"}}}}


async def sent(folder: Path, template: str | None = None, **params: Any) -> str | None:
    """The grammar that the engine is given."""
    place = speaking(folder, "yes") if template is None else chatting(folder, "yes", template=template)
    async with place as (target, engine):
        await converse.converse(await converse.prepare(target, {"messages": [ASKED], **params}, now=NOW))
        asked = engine.requests[0].get("structured_outputs")
        return None if asked is None else str(asked["grammar"])


def test_converse_s_schema_reaches_the_engine_with_bounded_white_space(tmp_path: Path) -> None:
    grammar = asyncio.run(sent(tmp_path, outputConfig=text_format(SCHEMA)))
    assert grammar is not None
    start, _, form = grammar.partition("%json ")
    assert start == "start: answer_1\nform_0: "
    schema = json.loads(form.split("\n")[0])
    assert schema.pop("x-guidance")["whitespace_pattern"] == r"(\n[ \t]{0,20}| )"
    assert schema == {**SCHEMA, "additionalProperties": False}


def test_an_answer_without_a_form_has_no_grammar(tmp_path: Path) -> None:
    assert asyncio.run(sent(tmp_path)) is None


def test_claude_s_formats_of_today_and_of_the_beta_are_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        body = {"anthropic_version": "b", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        form = {"type": "json_schema", "schema": SCHEMA}
        grammars = []
        ways: list[dict[str, Any]] = [{"output_config": {"format": form}}, {"output_format": form}]
        for number, more in enumerate(ways):
            async with speaking(tmp_path / str(number), "yes") as (target, engine):
                prepared = await invoke.prepare(target, json.dumps({**body, **more}).encode(), now=NOW)
                await invoke.invoke(prepared)
                grammars.append(engine.requests[0]["structured_outputs"]["grammar"])
        assert grammars[0] == grammars[1]
        assert '"required": ["a"]' in grammars[0]

    asyncio.run(scenario())


def test_openai_s_response_formats_are_read() -> None:
    assert form_of_response_format(None) is None
    assert form_of_response_format({"type": "text"}) is None
    assert form_of_response_format({"type": "json_object"}) == JsonObject()
    named = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    assert form_of_response_format(named) == JsonSchema(schema=SCHEMA, name="n")
    assert form_of_response_format({"type": "json_schema", "name": "n", "schema": SCHEMA}) == JsonSchema(
        schema=SCHEMA, name="n"
    )
    with pytest.raises(Invalid) as refused:
        form_of_response_format({"type": "yaml"})
    assert refused.value.message == "response_format.type: 'yaml' is none. Choose text, json_object or json_schema."


def test_vllm_s_structured_outputs_are_read() -> None:
    assert form_of_structured_outputs({"regex": "a+"}) == Grammar(text="a+", kind="regex")
    assert form_of_structured_outputs({"grammar": 'start: "a"'}) == Grammar(text='start: "a"', kind="lark")
    assert form_of_structured_outputs({"choice": ["yes", 'n"o']}) == Grammar(text='start: "yes" | "n\\"o"', kind="lark")
    assert form_of_structured_outputs({"json": json.dumps(SCHEMA)}) == JsonSchema(schema=SCHEMA)
    wrongs: list[Any] = [{"regex": ""}, {"choice": []}, {"json_object": 1}, {"ebnf": "x"}, {"regex": "a", "json": {}}]
    for wrong in wrongs:
        with pytest.raises(Invalid, match="structured_outputs"):
            form_of_structured_outputs(wrong)


def test_a_regex_and_a_grammar_reach_the_engine_by_additional_fields(tmp_path: Path) -> None:
    more = {"structured_outputs": {"regex": r"a/b\d"}}
    assert (
        asyncio.run(sent(tmp_path / "a", additionalModelRequestFields=more))
        == "start: answer_1\nform_0: /a\\/b\\d/\nanswer_1: form_0"
    )
    more = {"structured_outputs": {"grammar": 'start: "a" | "b"'}}
    assert asyncio.run(sent(tmp_path / "b", additionalModelRequestFields=more)) == 'start: "a" | "b"'
    with pytest.raises(Invalid, match="both give the answer a form"):
        asyncio.run(sent(tmp_path / "c", additionalModelRequestFields=more, outputConfig=text_format(SCHEMA)))


def test_a_model_that_thinks_thinks_before_its_form(tmp_path: Path) -> None:
    may = asyncio.run(sent(tmp_path / "a", QWEN3, outputConfig=text_format(SCHEMA)))
    must = asyncio.run(sent(tmp_path / "b", R1, outputConfig=text_format(SCHEMA)))
    off = asyncio.run(
        sent(
            tmp_path / "c",
            QWEN3,
            outputConfig=text_format(SCHEMA),
            additionalModelRequestFields={"enable_thinking": False},
        )
    )
    assert may is not None
    assert may.startswith("start: thought_3? answer_1\n")
    assert must is not None
    assert must.startswith("start: thought_3 answer_1\n")
    assert off is not None
    assert "thought" not in off


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("{", "outputConfig.textFormat.structure.jsonSchema.schema: the schema is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)). Give it as a JSON object in a string."),
        ([1], "#: expected an object or a boolean, found a list"),
        ({"type": "objekt"}, "#/type: 'objekt' is no type. Choose among string, number, integer, boolean, object, array, null"),
        ({"properties": {"a/b": {"items": {"uniqueItems": True}}}}, "#/properties/a~1b/items/uniqueItems: the keyword 'uniqueItems' cannot be enforced"),
        ({"anyOf": [{}, {"format": "color"}]}, "#/anyOf/1/format: 'color' cannot be enforced. Formats that can: date-time, time, date, duration, email, hostname, ipv4, ipv6, uuid, uri"),
        ({"pattern": "(?=a)b"}, "#/pattern: looking around, word borders and back references cannot be enforced"),
        ({"pattern": "(a"}, "#/pattern: is no regular expression (missing ), unterminated subpattern at position 0)"),
        ({"$ref": "#/$defs/b", "$defs": {}}, "#/$ref: '#/$defs/b' leads nowhere in this schema"),
        ({"$ref": "https://a.b/c"}, "#/$ref: 'https://a.b/c' leads out of this schema. Put what it names under $defs"),
        ({"items": [{}]}, "#/items: a list of schemas is draft 4's. Write prefixItems"),
        ({"exclusiveMinimum": True}, "#/exclusiveMinimum: expected a number, found a boolean"),
        ({"minLength": 3, "maxLength": 1}, "#: minLength 3 is above maxLength 1"),
        ({"minProperties": 1, "properties": {"a": {}}}, "#: minProperties can be enforced only where all properties are required"),
        ({"oneOf": [{"type": "object"}, {"required": ["a"]}]}, "#/oneOf: two of its schemas may fit one value. Write anyOf, or make them exclude each other"),
        ({"required": "a"}, "#/required: expected a list of strings, found a string"),
        ({"enum": []}, "#/enum: expected a list of at least one value"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_held_is_refused_with_a_pointer(schema: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        asyncio.run(sent(tmp_path, outputConfig=text_format(schema)))
    whole = f"The schema cannot be used. outputConfig.textFormat.structure.jsonSchema.schema: {problem}. Change these places, or leave them out."
    assert refused.value.message == (problem if problem.startswith("outputConfig") else whole)


def test_all_problems_of_a_schema_are_told_together() -> None:
    with pytest.raises(Invalid) as refused:
        json_schema.check({"type": "a", "not": {}, "items": 1}, at="s")
    assert refused.value.message == (
        "The schema cannot be used. s: #/type: 'a' is no type. Choose among string, number, integer, boolean, object, "
        "array, null; s: #/not: the keyword 'not' cannot be enforced; s: #/items: expected a schema, found a number. "
        "Change these places, or leave them out."
    )


def test_a_schema_without_end_is_refused_not_followed() -> None:
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"items": deep}
    with pytest.raises(Invalid, match="goes too deep"):
        json_schema.check(deep, at="s")


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"type": "string"}, {"type": ["integer", "null"]}]},
        {"oneOf": [{"const": 1}, {"enum": [2, 3]}]},
        {
            "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
            "$defs": {
                name: {"type": "object", "properties": {"kind": {"const": name}}, "required": ["kind"]}
                for name in ("cat", "dog")
            },
        },
    ],
    ids=["types", "values", "a property"],
)
def test_alternatives_that_exclude_each_other_can_be_held(schema: dict[str, Any]) -> None:
    json_schema.check(schema, at="s")


CLOSED = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "held"),
    [
        ({"items": {"properties": {"a": {}}}}, {"items": {"properties": {"a": {}}, "additionalProperties": False}}),
        ({"type": "object"}, {"type": "object"}),
        ({"properties": {"a": {}}, "additionalProperties": True}, {"properties": {"a": {}}, "additionalProperties": True}),
        ({"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]}, {"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]}),
        ({"anyOf": [{"type": "object", "properties": {"a": {}}}, {}]}, {"anyOf": [CLOSED, {}]}),
        ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
        ({"$schema": "x", "$id": "y", "type": "null"}, {"type": "null"}),
        (True, {"allOf": [True]}),
    ],
)  # fmt: skip
def test_a_schema_names_the_only_properties_where_it_says_nothing_of_others(schema: Any, held: Any) -> None:
    written = json.loads(schema_grammar.in_grammar(schema).removeprefix("%json "))
    del written["x-guidance"]
    assert written == held


def test_what_cannot_be_held_of_a_tool_that_is_not_strict_is_passed_over() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "(?=x)y", "format": "color", "maxLength": 3}, "b": {"type": "foo", "not": {}}, "c": {"$ref": "http://a"}},
        "minProperties": 1,
        "uniqueItems": True,
        "required": ["a"],
    }  # fmt: skip
    assert json_schema.what_can_be_held(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 3}, "b": {}, "c": {}},
        "required": ["a"],
    }


def test_a_form_and_an_answer_that_is_begun_do_not_go_together(tmp_path: Path) -> None:
    begun = [ASKED, {"role": "assistant", "content": [{"text": "{"}]}]
    with pytest.raises(Invalid, match="cannot be held to a form"):
        asyncio.run(sent(tmp_path, messages=begun, outputConfig=text_format(SCHEMA)))


def test_a_strict_tool_is_held_where_the_model_chooses_to_call(tmp_path: Path) -> None:
    spec = {"name": "add", "strict": True, "inputSchema": {"json": SCHEMA}}
    grammar = asyncio.run(sent(tmp_path, HERMES, toolConfig={"tools": [{"toolSpec": spec}]}))
    assert grammar is not None
    assert "[lazy]: /(?s:.)*<tool_call>/" in grammar
    assert "plain" in grammar
