"""Conversations with tools: read in OpenAI's form, and learned where the base's chat template writes tools."""

import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.datasets.encoding import EncodedRecord, encode
from outcrop.datasets.problems import Problem
from outcrop.datasets.reading import check, read_lines, read_records
from outcrop.datasets.records import Conversation
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import CHATML, byte_level

WITH_TOOLS = (
    "{{ bos_token }}{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls %}[{{ call.function.name }} {{ call.function.arguments | tojson }}]{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOL = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}
ASKED: dict[str, Any] = {"role": "user", "content": "2+3?"}
SAID: dict[str, Any] = {"role": "assistant", "content": "5"}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "content": "5"}


def call(arguments: Any = '{"a": 2, "b": 3}', **more: Any) -> dict[str, Any]:
    function = {"name": "add", "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        **more,
    }


def record(*messages: Any, **more: Any) -> bytes:
    return json.dumps({"messages": messages, "tools": [TOOL], **more}).encode()


GOOD = record(ASKED, call(), RESULT, SAID)


def test_a_conversation_with_tools_is_read_and_told_as_converted() -> None:
    (line,) = read_lines([GOOD], name="t", customization="FINE_TUNING")
    assert isinstance(line.record, Conversation)
    assert line.record.tools == (TOOL,)
    assert line.record.messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 2, "b": 3}
    assert [conversion.form for conversion in line.conversions] == ["OpenAI's form with tools (tools, tool_calls)"]


def test_what_the_assistant_says_and_calls_is_learned_and_results_are_not(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path, chat_template=WITH_TOOLS))
    (read,) = read_records([GOOD], name="t", customization="FINE_TUNING")
    encoded = encode(read, tokenizer, context_length=4096, name="t")
    assert isinstance(encoded, list)
    (sequence,) = encoded
    assert learned(sequence, tokenizer) == ['[add {"a": 2, "b": 3}]', "5"]
    assert '"description": "adds"' in tokenizer.decode(sequence.ids)


def learned(sequence: EncodedRecord, tokenizer: Tokenizer) -> list[str]:
    """The stretches of text that are supervised."""
    found: list[list[int]] = [[]]
    for token, counts in zip(sequence.ids, sequence.supervised, strict=True):
        if counts:
            found[-1].append(token)
        elif found[-1]:
            found.append([])
    return [tokenizer.decode(ids) for ids in found if ids]


@pytest.mark.parametrize(
    "template",
    [
        CHATML,
        WITH_TOOLS.replace("{{ message.content }}", "{% if message.role != 'tool' %}{{ message.content }}{% endif %}"),
        None,
    ],
)
def test_a_base_whose_template_writes_no_tools_refuses_them(tmp_path: Path, template: str | None) -> None:
    more: Any = {} if template is None else {"chat_template": template}
    tokenizer = Tokenizer.open(byte_level(tmp_path, **more))
    (read,) = read_records([GOOD], name="t", customization="FINE_TUNING")
    refused = encode(read, tokenizer, context_length=4096, name="t")
    assert isinstance(refused, Problem)
    assert str(refused) == (
        "t:1: tools, and the base model's chat template does not write tools, their calls and results. Choose a base "
        "model whose template has tools, or write the calls as text."
    )


CALL_FORM = '{"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}'
TOOL_FORM = '{"type": "function", "function": {"name": "…", "parameters": {…}}}'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (record(ASKED, call("{"), RESULT, SAID), "messages[1].tool_calls[0].function.arguments: not JSON, the record ends too early. Write the arguments as one JSON object."),
        (record(ASKED, call("[1]"), RESULT, SAID), "messages[1].tool_calls[0].function.arguments: expected an object, found a list. Write the arguments as one JSON object."),
        (record(ASKED, call(None), RESULT, SAID), "messages[1].tool_calls[0].function.arguments: expected an object, found null. Write the arguments as one JSON object."),
        (record(ASKED, {**SAID, "tool_calls": []}), f"messages[1].tool_calls: empty. Leave it out, or write [{CALL_FORM}, …]."),
        (record(ASKED, {**SAID, "tool_calls": [{"id": "c1"}]}), f"messages[1].tool_calls[0]: no function with a name. Write {CALL_FORM}."),
        (record(ASKED, call(), SAID), "messages[2].role: expected tool, found assistant. A call is followed by its results, and these by the assistant."),
        (record(ASKED, RESULT, SAID), "messages[1].role: expected assistant, found tool. A call is followed by its results, and these by the assistant."),
        (record(ASKED, call(), {**RESULT, "tool_call_id": "c9"}, SAID), "messages[2].tool_call_id: no call before it has the id 'c9'. Write the id of the call that it answers."),
        (record(ASKED, call(), RESULT), "messages: the last turn is the tool's. End the conversation with what the assistant should say."),
        (record(ASKED, SAID, tools={}), f"tools: expected a list, found an object. Leave it out, or write [{TOOL_FORM}, …]."),
        (record(ASKED, SAID, tools=[{"name": "add"}]), f"tools[0]: no function with a name. Write {TOOL_FORM}."),
        (record(ASKED, SAID, functions=[]), "functions: unknown key. Write tools and tool_calls, as OpenAI's files have them now."),
        (record(ASKED, SAID, tool_choice="auto"), "tool_choice: unknown key. No template reads it: remove it."),
        (record({"role": "function", "content": "5"}), "messages[0].role: expected user or assistant, found 'function'. Write tool, with the tool_call_id of the call it answers."),
    ],
)  # fmt: skip
def test_a_broken_call_names_its_place(content: bytes, sentence: str) -> None:
    told = [str(problem) for problem in check([content], name="t", customization="FINE_TUNING")]
    assert told == [f"t:1: {sentence}"]


def test_bedrock_s_forms_have_no_tools() -> None:
    told = [str(problem) for problem in check([GOOD], name="t", customization="FINE_TUNING", strict=True)]
    assert told == [
        "t:1: OpenAI's form with tools (tools, tool_calls), which is not Bedrock's. "
        "Write calls and results as text of the turns."
    ]


def test_a_call_may_be_the_last_that_is_learned() -> None:
    assert check([record(ASKED, call())], name="t", customization="FINE_TUNING") == []
