"""Models that think before they answer: the thought is told apart, given back, and turned on or off."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.invocation import converse
from outcrop.invocation.count_tokens import count_tokens
from outcrop.invocation.exchange import ChatPrompt, InvocationRequest, SamplingOptions
from outcrop.invocation.generate import complete_text, plan
from outcrop.tokens import thought_tags
from outcrop.tokens.thought_tags import ThoughtPlace
from tests.support.chat_templates import HERMES, QWEN3, R1
from tests.support.small_tokenizers import CHATML
from tests.support.spoken_target import chatting, speaking

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED: dict[str, Any] = {"role": "user", "content": [{"text": "Two?"}]}
THOUGHT = "<think>\nhm,\n\nwell\n</think>\n\nYes."


async def ask(folder: Path, said: str, template: str, **params: Any) -> dict[str, Any]:
    async with chatting(folder, said, template=template) as (target, _):
        return await converse.converse(await converse.prepare(target, {"messages": [ASKED], **params}, now=NOW))


async def events(folder: Path, said: str, template: str, **params: Any) -> list[dict[str, Any]]:
    async with chatting(folder, said, template=template) as (target, _):
        request = await converse.prepare(target, {"messages": [ASKED], **params}, now=NOW)
        return [event async for event in converse.converse_stream(request)]


async def prompt(folder: Path, template: str, **params: Any) -> str:
    async with chatting(folder, "yes", template=template) as (target, engine):
        await converse.converse(await converse.prepare(target, {"messages": [ASKED], **params}, now=NOW))
        ids, tokenizer = engine.requests[0]["prompt"], target.tokenizer
        return "".join(
            tokenizer.token(one) or "" if one in tokenizer.special_ids else tokenizer.decode([one]) for one in ids
        )


def told(answer: dict[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = answer["output"]["message"]["content"]
    return blocks


def reasoning(text: str) -> dict[str, Any]:
    return {"reasoningContent": {"reasoningText": {"text": text}}}


@pytest.mark.parametrize(
    ("template", "said"), [(QWEN3, THOUGHT), (R1, THOUGHT.removeprefix("<think>\n"))], ids=["qwen3", "r1"]
)
def test_a_thought_is_a_block_before_the_answer(template: str, said: str, tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, said, template))
    assert told(answer) == [reasoning("hm,\n\nwell"), {"text": "Yes."}]
    assert answer["stopReason"] == "end_turn"


def test_a_stream_tells_the_thought_before_the_answer_and_signs_nothing(tmp_path: Path) -> None:
    found = asyncio.run(events(tmp_path, THOUGHT, QWEN3))
    deltas = [event["contentBlockDelta"] for event in found if "contentBlockDelta" in event]
    thought = [one["delta"]["reasoningContent"] for one in deltas if one["contentBlockIndex"] == 0]
    assert "".join(one["text"] for one in thought) == "hm,\n\nwell"
    assert all(one.keys() == {"text"} for one in thought)
    assert "".join(one["delta"]["text"] for one in deltas if one["contentBlockIndex"] == 1) == "Yes."
    ends = [event["contentBlockStop"]["contentBlockIndex"] for event in found if "contentBlockStop" in event]
    assert ends == [0, 1]
    assert not any("contentBlockStart" in event for event in found)


def test_a_thought_that_max_tokens_cut_off_is_all_of_the_answer(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, THOUGHT, QWEN3, inferenceConfig={"maxTokens": 6}))
    assert told(answer) == [reasoning("hm,")]
    assert answer["stopReason"] == "max_tokens"


def test_an_answer_without_a_thought_has_no_block_of_one(tmp_path: Path) -> None:
    assert told(asyncio.run(ask(tmp_path / "a", "Yes.", QWEN3))) == [{"text": "Yes."}]
    assert told(asyncio.run(ask(tmp_path / "b", "<think>\n\n</think>\n\nYes.", QWEN3))) == [{"text": "Yes."}]


def test_stop_sequences_are_not_looked_for_in_a_thought(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, THOUGHT, QWEN3, inferenceConfig={"stopSequences": ["\n", "es"]}))
    assert told(answer) == [reasoning("hm,\n\nwell"), {"text": "Y"}]
    assert answer["stopReason"] == "stop_sequence"


def test_a_model_that_does_not_think_says_its_tags_as_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, THOUGHT, context_length=512) as (target, _):
            answer = await converse.converse(await converse.prepare(target, {"messages": [ASKED]}, now=NOW))
            assert told(answer) == [{"text": THOUGHT}]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, "<|im_start|>assistant\n"),
        ({"enable_thinking": False}, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ({"enable_thinking": True}, "<|im_start|>assistant\n"),
        ({"thinking": {"type": "disabled"}}, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ({"reasoning_config": {"type": "enabled", "budget_tokens": 1024}}, "<|im_start|>assistant\n"),
        ({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, "<|im_start|>assistant\n"),
    ],
    ids=["nothing", "off", "on", "Claude's off", "Claude's on", "Nova's"],
)
def test_the_templates_switch_is_turned_by_every_providers_field(
    fields: dict[str, Any], end: str, tmp_path: Path
) -> None:
    assert asyncio.run(prompt(tmp_path, QWEN3, additionalModelRequestFields=fields)).endswith(f"Two?<|im_end|>\n{end}")


def test_the_switch_changes_what_is_counted_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with chatting(tmp_path, "yes", template=QWEN3) as (target, _):
            off = {"additionalModelRequestFields": {"enable_thinking": False}}
            counts = [await count_tokens(target, {"converse": {"messages": [ASKED], **more}}) for more in ({}, off)]
            assert counts[1] > counts[0]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("template", "fields", "problem"),
    [
        (CHATML, {"enable_thinking": True}, "thinking: This model does not support extended thinking"),
        (R1, {"enable_thinking": False}, "thinking: This model thinks before every answer, and its chat template has no switch for it. Leave thinking out."),
        (QWEN3, {"enable_thinking": True, "thinking": {"type": "disabled"}}, "additionalModelRequestFields: thinking is turned on and off. Say it once."),
    ],
)  # fmt: skip
def test_a_wish_that_the_template_cannot_fulfil_is_refused(
    template: str, fields: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid) as refused:
        asyncio.run(ask(tmp_path, "yes", template, additionalModelRequestFields=fields))
    assert refused.value.message == problem


def test_earlier_thoughts_are_given_to_a_template_that_keeps_them_and_left_to_one_that_does_not(tmp_path: Path) -> None:
    messages = [ASKED, {"role": "assistant", "content": [reasoning("hm"), {"text": "Yes."}]}, ASKED]
    for number, template in enumerate((QWEN3, R1)):
        text = asyncio.run(prompt(tmp_path / str(number), template, messages=messages))
        assert "Yes." in text
        assert "hm" not in text
    keeps = CHATML.replace("message['content'] | trim", "(message.reasoning_content or '') + '/' + message['content']")
    assert "<|im_start|>assistant\nhm/Yes." in asyncio.run(prompt(tmp_path / "c", keeps, messages=messages))


def test_a_thought_that_the_request_begins_goes_on(tmp_path: Path) -> None:
    messages = [ASKED, {"role": "assistant", "content": [{"text": "<think>\nfirst"}]}]
    answer = asyncio.run(ask(tmp_path, ", then\n</think>\n\nYes.", QWEN3, messages=messages))
    assert told(answer) == [reasoning(", then"), {"text": "Yes."}]


def test_an_answer_holds_thought_and_text_apart_for_every_body(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with chatting(tmp_path, THOUGHT, template=QWEN3) as (target, _):
            sampling = SamplingOptions(max_tokens=None, logprobs=0)
            turns = ChatPrompt(messages=[{"role": "user", "content": "Two?"}])
            finished = await complete_text(target, plan(target, InvocationRequest(prompt=turns, sampling=sampling)))
            assert (finished.reasoning, finished.text, finished.num_blocks) == ("hm,\n\nwell", "Yes.", 2)
            # All tokens but the one that ends the answer; those of a thought are told with it.
            assert len(finished.logprobs) == finished.num_output_tokens - 1

    asyncio.run(scenario())


def test_whether_a_model_thinks_is_told_by_its_template_or_its_vocabulary(tmp_path: Path) -> None:
    async def scenario() -> None:
        for number, (template, tags) in enumerate([(QWEN3, "<think>"), (R1, "<think>"), (HERMES, "<think>")]):
            async with chatting(tmp_path / str(number), "yes", template=template) as (target, _):
                found = thought_tags.tags_of(target.tokenizer)
                assert found is not None
                assert found.opening == tags
        async with speaking(tmp_path / "plain", "yes") as (target, _):
            assert thought_tags.tags_of(target.tokenizer) is None
            assert thought_tags.place_behind(target.tokenizer, None, [1]) is ThoughtPlace.NONE

    asyncio.run(scenario())
