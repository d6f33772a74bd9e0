"""Tools in Converse and in the bodies of Claude and Nova: in, out, in streams, and what is refused in whose words."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.invocation import converse, invoke
from outcrop.invocation.count_tokens import count_tokens
from outcrop.invocation.dialects.choice import choose
from outcrop.invocation.dialects.claude import CLAUDE
from tests.support.chat_templates import HERMES, LLAMA3, MISTRAL, QWEN3, R1, WITH_TOOLS
from tests.support.small_tokenizers import CHATML, TEST_DATA
from tests.support.spoken_target import chatting

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CONFIG = {"tools": [{"toolSpec": {"name": "weather", "description": "Tells it.", "inputSchema": {"json": SCHEMA}}}]}
ASKED: dict[str, Any] = {"role": "user", "content": [{"text": "Weather?"}]}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}}
CALLED: dict[str, Any] = {"role": "assistant", "content": [{"text": "I look."}, USE]}
SAYS = 'I look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "猫"}}\n</tool_call>'
BODY: dict[str, Any] = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1100}
CLAUDE_TOOLS = [{"name": "weather", "description": "Tells it.", "input_schema": SCHEMA}]


def result(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": "tooluse_1", "content": list(content), **more}}


def answered(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


async def ask(folder: Path, said: str, *, template: str = HERMES, **params: Any) -> dict[str, Any]:
    params = {"messages": [ASKED], "toolConfig": CONFIG, **params}
    async with chatting(folder, said, template=template) as (target, _):
        return await converse.converse(await converse.prepare(target, params, now=NOW))


async def events(folder: Path, said: str, *, template: str = HERMES, **params: Any) -> list[dict[str, Any]]:
    params = {"messages": [ASKED], "toolConfig": CONFIG, **params}
    async with chatting(folder, said, template=template) as (target, _):
        return [event async for event in converse.converse_stream(await converse.prepare(target, params, now=NOW))]


async def prompt(folder: Path, *, template: str = HERMES, **params: Any) -> str:
    """The prompt that the engine is given."""
    async with chatting(folder, "yes", template=template) as (target, engine):
        await converse.converse(await converse.prepare(target, {"messages": [ASKED], **params}, now=NOW))
        ids, tokenizer = engine.requests[0]["prompt"], target.tokenizer
        return "".join(
            tokenizer.token(one) or "" if one in tokenizer.special_ids else tokenizer.decode([one]) for one in ids
        )


def content(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of an answer, where ids are random."""
    blocks: list[dict[str, Any]] = answer["output"]["message"]["content"]
    for block in blocks:
        if "toolUse" in block:
            assert block["toolUse"].pop("toolUseId").startswith("tooluse_")
    return blocks


def test_a_call_is_a_block_with_its_input_and_ends_the_turn(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, SAYS))
    assert content(answer) == [{"text": "I look."}, {"toolUse": {"name": "weather", "input": {"city": "Oslo"}}}]
    assert answer["stopReason"] == "tool_use"


def test_calls_made_together_are_blocks_with_ids_of_their_own(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, f"{SAYS}\n{OTHER}"))
    ids = [block["toolUse"]["toolUseId"] for block in answer["output"]["message"]["content"] if "toolUse" in block]
    assert len(set(ids)) == 2
    assert [block["toolUse"]["input"] for block in content(answer)[1:]] == [{"city": "Oslo"}, {"city": "猫"}]


def test_a_stream_starts_a_block_for_each_call_and_tells_its_input_as_json(tmp_path: Path) -> None:
    told = asyncio.run(events(tmp_path, f"{SAYS}\n{OTHER}"))
    kinds = [next(iter(event)) for event in told]
    words = kinds.index("contentBlockStop")
    assert kinds[:words] == ["messageStart", *["contentBlockDelta"] * (words - 1)]
    assert kinds[words:] == [
        *["contentBlockStop", "contentBlockStart", "contentBlockDelta"] * 2,
        "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    starts = [event["contentBlockStart"] for event in told if "contentBlockStart" in event]
    assert [(one["contentBlockIndex"], one["start"]["toolUse"]["name"]) for one in starts] == [
        (1, "weather"),
        (2, "weather"),
    ]
    deltas = [event["contentBlockDelta"] for event in told if "contentBlockDelta" in event]
    inputs = [
        (one["contentBlockIndex"], json.loads(one["delta"]["toolUse"]["input"]))
        for one in deltas
        if "toolUse" in one["delta"]
    ]
    assert inputs == [(1, {"city": "Oslo"}), (2, {"city": "猫"})]
    assert next(event["messageStop"] for event in told if "messageStop" in event) == {"stopReason": "tool_use"}


def test_a_malformed_call_is_text(tmp_path: Path) -> None:
    broken = '<tool_call>\n{"name": "weather", "arguments": {"city": }}\n</tool_call>'
    answer = asyncio.run(ask(tmp_path, broken))
    assert (content(answer), answer["stopReason"]) == ([{"text": broken}], "end_turn")


def test_a_call_cut_off_by_max_tokens_is_text(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, SAYS, inferenceConfig={"maxTokens": 30}))
    assert answer["stopReason"] == "max_tokens"
    assert content(answer) == [{"text": SAYS[: len(content(answer)[0]["text"])]}]
    assert "<tool_call>" in content(answer)[0]["text"]


def test_stop_sequences_are_not_looked_for_in_calls(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, SAYS, inferenceConfig={"stopSequences": ["Oslo"]}))
    assert answer["stopReason"] == "tool_use"
    stopped = asyncio.run(ask(tmp_path / "b", SAYS, inferenceConfig={"stopSequences": ["look"]}))
    assert (content(stopped), stopped["stopReason"]) == ([{"text": "I "}], "stop_sequence")


def test_results_go_to_the_template_each_as_a_turn_and_an_error_says_so(tmp_path: Path) -> None:
    calls = {"role": "assistant", "content": [USE, {"toolUse": {**USE["toolUse"], "toolUseId": "b"}}]}
    results = answered(
        result({"json": {"degrees": 7, "sky": "grey"}}, {"text": "sure"}),
        {"toolResult": {"toolUseId": "b", "content": [{"text": "no such city"}], "status": "error"}},
        {"text": "Go on."},
    )
    text = asyncio.run(prompt(tmp_path, messages=[ASKED, calls, results], toolConfig=CONFIG))
    assert text.endswith(
        '<|im_start|>assistant\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>\n'
        '<|im_start|>user\n<tool_response>\n{"degrees": 7, "sky": "grey"}\nsure\n</tool_response>\n'
        "<tool_response>\nError: no such city\n</tool_response><|im_end|>\n"
        "<|im_start|>user\nGo on.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert '"name": "weather", "description": "Tells it.", "parameters": {"type": "object"' in text


@pytest.mark.parametrize("name", [name for name in WITH_TOOLS if name != "llama3"])
def test_every_syntax_goes_round_from_an_answer_to_the_next_prompt(name: str, tmp_path: Path) -> None:
    template = WITH_TOOLS[name]
    said = {
        "mistral": '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "abcdefghi"}]',
        "mistral_named": '[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}',
        "mistral_ids": '[TOOL_CALLS]weather[CALL_ID]abcdefghi[ARGS]{"city": "Oslo"}',
        "deepseek": '<|tool_calls_begin|><|tool_call_begin|>function<|tool_sep|>weather\n```json\n{"city": "Oslo"}\n```<|tool_call_end|><|tool_calls_end|>',
        "coder": "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
    }.get(name, SAYS.removeprefix("I look.\n"))
    answer = asyncio.run(ask(tmp_path / "a", said, template=template))
    message = answer["output"]["message"]
    (use,) = message["content"]
    assert use["toolUse"]["input"] == {"city": "Oslo"}
    back = {"toolResult": {"toolUseId": use["toolUse"]["toolUseId"], "content": [{"text": "7 degrees"}]}}
    text = asyncio.run(
        prompt(tmp_path / "b", template=template, messages=[ASKED, message, answered(back)], toolConfig=CONFIG)
    )
    assert "7 degrees" in text
    assert text.count("Oslo") == 1


def test_llama_calls_with_an_answer_that_is_json_and_says_other_json_as_text(tmp_path: Path) -> None:
    called = asyncio.run(ask(tmp_path / "a", '{"name": "weather", "parameters": {"city": "Oslo"}}', template=LLAMA3))
    assert called["stopReason"] == "tool_use"
    said = asyncio.run(ask(tmp_path / "b", '{"city": "Oslo"} it is', template=LLAMA3))
    assert (content(said), said["stopReason"]) == ([{"text": '{"city": "Oslo"} it is'}], "end_turn")


def test_a_tool_that_must_be_called_is_held_by_a_grammar_and_auto_by_none(tmp_path: Path) -> None:
    async def grammar(folder: Path, **config: Any) -> Any:
        async with chatting(folder, "yes", template=HERMES) as (target, engine):
            params = {"messages": [ASKED], "toolConfig": {**CONFIG, **config}}
            await converse.converse(await converse.prepare(target, params, now=NOW))
            return engine.requests[0].get("structured_outputs")

    assert asyncio.run(grammar(tmp_path / "a")) is None
    assert asyncio.run(grammar(tmp_path / "b", toolChoice={"auto": {}})) is None
    held = asyncio.run(grammar(tmp_path / "c", toolChoice={"any": {}}))["grammar"]
    assert '"{\\"name\\": \\"weather\\""' in held
    assert (
        asyncio.run(grammar(tmp_path / "d", toolChoice={"tool": {"name": "weather"}}))["grammar"].count("weather") == 1
    )


def test_tools_are_counted_as_the_prompt_has_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with chatting(tmp_path, "yes", template=HERMES) as (target, engine):
            source = {"messages": [ASKED, CALLED, answered(result({"text": "7"}))], "toolConfig": CONFIG}
            counted = await count_tokens(target, {"converse": source})
            answer = await converse.converse(await converse.prepare(target, source, now=NOW))
            assert counted == answer["usage"]["inputTokens"] == len(engine.requests[0]["prompt"])
            plain = await count_tokens(target, {"converse": {"messages": [ASKED]}})
            assert counted > plain + len("weather")

    asyncio.run(scenario())


DOCUMENT = {"document": {"format": "txt", "name": "d", "source": {"bytes": b""}}}


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"messages": [ASKED, CALLED, answered(result({"text": "7"}))]}, "The toolConfig field must be defined when using toolUse and toolResult content blocks."),
        ({"messages": [ASKED, CALLED, answered({"text": "7"})], "toolConfig": CONFIG}, "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_1"),
        ({"messages": [ASKED, CALLED], "toolConfig": CONFIG}, "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_1"),
        ({"messages": [ASKED, CALLED, answered(result({"text": "7"}), {"toolResult": {"toolUseId": "x", "content": []}})], "toolConfig": CONFIG}, "The number of toolResult blocks at messages.2.content exceeds the number of toolUse blocks of previous turn."),
        ({"messages": [answered(result({"text": "7"}))], "toolConfig": CONFIG}, "The number of toolResult blocks at messages.0.content exceeds the number of toolUse blocks of previous turn."),
        ({"messages": [ASKED, {"role": "assistant", "content": [USE, USE]}], "toolConfig": CONFIG}, "The toolUse blocks at messages.1.content contain duplicate Ids: tooluse_1"),
        ({"messages": [ASKED, CALLED, answered(result(status="error"))], "toolConfig": CONFIG}, "The content field at messages.2.content.0.toolResult cannot be empty when status value is error."),
        ({"messages": [ASKED, CALLED, answered(result(DOCUMENT))], "toolConfig": CONFIG}, "This model doesn't support document content. Remove the document block at messages.2.content.0.toolResult.content.0 and try again."),
        ({"messages": [answered(USE)], "toolConfig": CONFIG}, "A toolUse block belongs in a message of the assistant. Move the one at messages.0.content.0."),
        ({"toolConfig": {"tools": [*CONFIG["tools"], *CONFIG["tools"]]}}, "toolConfig.tools: several tools are named 'weather'. Give each tool a name of its own."),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "array"}}}}]}}, "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object."),
        ({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}, "This model doesn't support systemTool tools. Remove the one at toolConfig.tools.0 and try again."),
        ({"toolConfig": {**CONFIG, "toolChoice": {"tool": {"name": "rain"}}}}, "toolConfig.toolChoice.tool.name: no tool is named 'rain'. Name one of toolConfig.tools: weather."),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "t", "strict": True, "inputSchema": {"json": {"type": "object", "not": {}}}}}]}}, "The schema cannot be used. toolConfig.tools.0.toolSpec.inputSchema.json: #/not: the keyword 'not' cannot be enforced. Change these places, or leave them out."),
        ({"toolConfig": {**CONFIG, "toolChoice": {"any": {}}}, "messages": [ASKED, {"role": "assistant", "content": [{"text": "Well"}]}]}, "An answer that the request begins itself cannot be held to a form or a tool. End the conversation with a user message."),
    ],
)  # fmt: skip
def test_a_request_that_cannot_call_is_refused(params: dict[str, Any], problem: str, tmp_path: Path) -> None:
    given = {"toolConfig": None, **params}
    with pytest.raises(Invalid) as refused:
        asyncio.run(ask(tmp_path, "yes", **given))
    assert refused.value.message == problem


@pytest.mark.parametrize("template", [CHATML, R1], ids=["chatml", "r1"])
def test_a_template_without_tools_is_refused_as_bedrock_does(template: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        asyncio.run(ask(tmp_path, "yes", template=template))
    assert refused.value.message == "This model doesn't support tool use."


def test_a_template_that_takes_no_words_beside_results_says_so_in_bedrocks_words(tmp_path: Path) -> None:
    messages = [ASKED, CALLED, answered(result({"text": "7"}), {"text": "Go on."})]
    with pytest.raises(Invalid) as refused:
        asyncio.run(ask(tmp_path, "yes", template=MISTRAL, messages=messages))
    assert refused.value.message == "Conversation blocks and tool result blocks cannot be provided in the same turn."


async def invoked(folder: Path, said: str, body: dict[str, Any], *, template: str = HERMES) -> dict[str, Any]:
    async with chatting(folder, said, template=template) as (target, _):
        prepared = await invoke.prepare(target, json.dumps(body).encode(), now=NOW)
        return (await invoke.invoke(prepared)).response


async def chunks(folder: Path, said: str, body: dict[str, Any], *, template: str = HERMES) -> list[dict[str, Any]]:
    async with chatting(folder, said, template=template) as (target, _):
        prepared = await invoke.prepare(target, json.dumps(body).encode(), now=NOW)
        return [json.loads(event["chunk"]["bytes"]) async for event in invoke.invoke_stream(prepared)]


def test_claude_s_body_calls_and_thinks_in_its_own_blocks(tmp_path: Path) -> None:
    body = {**BODY, "tools": CLAUDE_TOOLS, "messages": [{"role": "user", "content": "Weather?"}]}
    response = asyncio.run(invoked(tmp_path, f"<think>\nhm\n</think>\n\n{SAYS}", body, template=QWEN3))
    assert response["content"].pop()["input"] == {"city": "Oslo"}
    assert response["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "I look."},
    ]
    assert response["stop_reason"] == "tool_use"


def test_claude_s_stream_tells_each_block_from_start_to_stop(tmp_path: Path) -> None:
    body = {**BODY, "tools": CLAUDE_TOOLS, "messages": [{"role": "user", "content": "Weather?"}]}
    told = asyncio.run(chunks(tmp_path, f"<think>\nhm\n</think>\n\n{SAYS}", body, template=QWEN3))
    blocks = [(one["type"], one["index"]) for one in told if "index" in one and one["type"] != "content_block_delta"]
    assert blocks == [(f"content_block_{what}", number) for number in range(3) for what in ("start", "stop")]
    starts = [one["content_block"]["type"] for one in told if one["type"] == "content_block_start"]
    assert starts == ["thinking", "text", "tool_use"]
    deltas = [(one["index"], one["delta"]) for one in told if one["type"] == "content_block_delta"]
    assert "".join(delta["thinking"] for number, delta in deltas if number == 0) == "hm"
    assert "".join(delta["text"] for number, delta in deltas if number == 1) == "I look."
    assert json.loads("".join(delta["partial_json"] for number, delta in deltas if number == 2)) == {"city": "Oslo"}
    assert told[-2]["delta"]["stop_reason"] == "tool_use"


def test_claude_s_turns_with_calls_go_to_the_template(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "7"}], "is_error": True}]},
    ]  # fmt: skip
    body = {**BODY, "tools": CLAUDE_TOOLS, "messages": turns}
    assert asyncio.run(invoked(tmp_path, "cold", body))["content"] == [{"type": "text", "text": "cold"}]
    assert CLAUDE.read(body).prompt.messages[-1] == {  # type: ignore[union-attr]
        "role": "tool", "tool_call_id": "toolu_1", "name": "weather", "content": "Error: 7",
    }  # fmt: skip


def test_claude_s_one_call_at_a_time_ends_the_answer_with_the_first(tmp_path: Path) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    body = {**BODY, "tools": CLAUDE_TOOLS, "tool_choice": choice, "messages": [{"role": "user", "content": "Weather?"}]}
    response = asyncio.run(invoked(tmp_path, f"{OTHER}\n{SAYS}", body))
    assert [block["input"] for block in response["content"]] == [{"city": "猫"}]
    assert response["stop_reason"] == "tool_use"


HI = [{"role": "user", "content": "hi"}]
TOOL_USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}]}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"tools": CLAUDE_TOOLS * 2}, "tools: Tool names must be unique."),
        ({"tools": [{"name": "a b", "input_schema": SCHEMA}]}, "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ({"tools": [{"name": "a", "input_schema": {"type": "string"}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0: Input tag 'web_search_20250305' found using 'type' does not match any of the expected tags: 'custom'"),
        ({"tools": CLAUDE_TOOLS, "tool_choice": {"type": "tool", "name": "rain"}}, "tool_choice: Tool 'rain' not found in provided tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice: may only be specified while providing tools"),
        ({"messages": [*HI, TOOL_USE, *HI]}, "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a. Each `tool_use` block must have a corresponding `tool_result` block in the next message."),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b"}]}]}, "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: b. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."),
        ({"thinking": {"type": "enabled", "budget_tokens": 1023}}, "thinking: budget_tokens: Input should be greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1100}}, "`max_tokens` must be greater than `thinking.budget_tokens`."),
        ({"output_format": {"type": "text"}}, "output_format.type: Input should be 'json_schema'"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "foo"}}}}, "The schema cannot be used. output_config.format.schema: #/type: 'foo' is no type. Choose among string, number, integer, boolean, object, array, null. Change these places, or leave them out."),
        ({"output_config": {"effort": "low"}}, "output_config: effort: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_claude_refuses_tools_in_words_of_its_own(body: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        choose("claude", {**BODY, "messages": HI, **body}).read({**BODY, "messages": HI, **body})
    assert refused.value.message == problem


def test_nova_s_body_calls_as_converse_does(tmp_path: Path) -> None:
    body = {"messages": [ASKED], "toolConfig": CONFIG, "inferenceConfig": {}}
    response = asyncio.run(invoked(tmp_path / "a", SAYS, body))
    assert (content(response)[1], response["stopReason"]) == (
        {"toolUse": {"name": "weather", "input": {"city": "Oslo"}}},
        "tool_use",
    )
    told = asyncio.run(chunks(tmp_path / "b", SAYS, body))
    assert [next(iter(one)) for one in told][-6:] == [
        "contentBlockStop", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    with pytest.raises(Invalid, match=r"#/toolConfig/tools/0/toolSpec: required key \[inputSchema\] not found"):
        choose("nova", body).read({**body, "toolConfig": {"tools": [{"toolSpec": {"name": "t"}}]}})


RECORDED = TEST_DATA / "bedrock-wire-samples/converse.recorded.jsonl"


def test_a_recorded_loop_of_calls_is_answered_with_the_members_it_was_recorded_with(tmp_path: Path) -> None:
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED} is not here; set OUTCROP_TEST_DATA")
    recorded = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    loops = [one for one in recorded if "toolConfig" in one["request"] and one.get("response")]
    for number, one in enumerate(loops):
        theirs = one["response"]["output"]["message"]["content"]
        said = "".join(block.get("text", "") or _as_hermes(block["toolUse"]) for block in theirs)
        ours = asyncio.run(ask(tmp_path / str(number), said, **one["request"]))
        uses = [block["toolUse"] for block in theirs if "toolUse" in block]
        for use in uses:
            use.pop("type", None)
            use.pop("toolUseId")
        assert content(ours) == theirs
        assert ours["stopReason"] == one["response"]["stopReason"]


def _as_hermes(use: dict[str, Any]) -> str:
    call = json.dumps({"name": use["name"], "arguments": use["input"]}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"
