"""A guardrail between a model and its reader: asynchronous streams, calls of tools, and whole answers."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from outcrop.errors import Invalid, ModelFailed
from outcrop.guardrails.applying import GuardedRequest, pieces_of
from outcrop.guardrails.assessment import Applied
from outcrop.guardrails.entities import MATCHERS
from outcrop.guardrails.guard import Content, Guard
from outcrop.guardrails.inputs import ConverseTexts, PromptTexts, read_body_config
from outcrop.guardrails.matching import Action, Side, TextRule
from outcrop.guardrails.words import WordMatcher
from outcrop.invocation.exchange import (
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    ToolCall,
)

BOTH = {Side.INPUT: Action.BLOCK, Side.OUTPUT: Action.BLOCK}
RULES = (
    TextRule(policy="word", name="", matcher=WordMatcher(["falcon"]), actions=BOTH),
    TextRule(policy="entity", name="EMAIL", matcher=MATCHERS["EMAIL"], actions=dict.fromkeys(Side, Action.ANONYMIZE)),
)
GUARD = Guard(applied=Applied("g", "arn:g", "1"), messages={Side.INPUT: "No.", Side.OUTPUT: "Sorry."}, rules=RULES)
SAMPLING = SamplingOptions(max_tokens=None)


def shown(items: Sequence[AnswerPiece | Finished], *, asynchronous: bool = False) -> tuple[list[AnswerPiece], Finished]:
    async def take() -> list[Any]:
        answer, out = GuardedRequest(GUARD, asynchronous=asynchronous).streamed(), list[Any]()
        for item in items:
            if not answer.over:
                out += await answer.take(item)
        return out

    *pieces, last = asyncio.run(take())
    return pieces, last


def said(text: str) -> Sequence[AnswerPiece | Finished]:
    pieces = [
        AnswerPiece(text=letter, num_output_tokens=n + 1, first=not n, opens=not n) for n, letter in enumerate(text)
    ]
    return [*pieces, Finished(text=text, num_output_tokens=len(text), finish=Finish.END)]


def test_an_asynchronous_stream_ends_as_soon_as_a_word_is_certain() -> None:
    pieces, last = shown(said("Of falcon, and more."), asynchronous=True)
    assert "".join(piece.text for piece in pieces) == last.text == "Of falcon,Sorry."
    assert (last.finish, last.num_output_tokens) == (Finish.GUARDRAIL, 10)
    pieces, last = shown(said("ann@example.com falcons"), asynchronous=True)
    assert "".join(piece.text for piece in pieces) == last.text == "ann@example.com falcons"
    pieces, last = shown(said("at last a falcon"), asynchronous=True)
    assert "".join(piece.text for piece in pieces) == last.text == "at last a falconSorry."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"to": ["ann@example.com"], "n": 1}, {"to": ["{EMAIL}"], "n": 1}),
        ({"to": "nobody"}, {"to": "nobody"}),
    ],
)
def test_the_texts_in_a_call_are_masked_one_by_one(given: dict[str, Any], expected: dict[str, Any]) -> None:
    call = ToolCall(id="c", name="mail", arguments=given)
    whole = Finished(text="Well.", num_output_tokens=9, finish=Finish.TOOL_USE, tool_calls=(call,))
    pieces, last = shown(pieces_of(whole))
    assert [json.loads(piece.text) for piece in pieces if piece.part == "tool"] == [expected]
    assert (last.tool_calls[0].arguments, last.finish, last.num_blocks) == (expected, Finish.TOOL_USE, 2)


def test_a_call_without_arguments_streams_through_and_one_that_is_no_json_fails() -> None:
    def called(text: str) -> Sequence[AnswerPiece | Finished]:
        call = ToolCall(id="c", name="now", arguments={})
        piece = AnswerPiece(
            text=text, num_output_tokens=1, first=True, part="tool", opens=True, call_id="c", call_name="now"
        )
        return piece, Finished(text="", num_output_tokens=1, finish=Finish.TOOL_USE, tool_calls=(call,))

    pieces, last = shown(called(""))
    assert ([piece.call_name for piece in pieces], last.finish) == (["now"], Finish.TOOL_USE)
    with pytest.raises(ModelFailed, match="called the tool now with arguments that are no JSON"):
        shown(called('{"to": "ann@exam'))


def test_a_call_that_is_blocked_is_not_shown() -> None:
    call = ToolCall(id="c", name="find", arguments={"q": "falcon"})
    whole = Finished(text="Well.", num_output_tokens=9, finish=Finish.TOOL_USE, tool_calls=(call,))
    pieces, last = shown(pieces_of(whole))
    assert [(piece.part, piece.text, piece.block, piece.opens) for piece in pieces] == [
        ("text", "Well.", 0, True),
        ("text", "Sorry.", 1, True),
    ]
    assert (last.tool_calls, last.finish, last.num_blocks) == ((), Finish.GUARDRAIL, 2)
    told = asyncio.run(GuardedRequest(GUARD).whole(whole))
    assert (told.text, told.tool_calls, told.finish) == ("Sorry.", (), Finish.GUARDRAIL)


def test_tool_results_and_questions_are_texts_of_a_conversation_too() -> None:
    texts = ConverseTexts(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "a"},
                        {"guardContent": {"text": {"text": "s", "qualifiers": ["grounding_source"]}}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "b"}, {"json": {"k": ["c"]}}]}}],
                },
                {"role": "user", "content": [{"guardContent": {"text": {"text": "q", "qualifiers": ["query"]}}}]},
            ],
            "system": [{"text": "system"}],
        }
    )
    assert texts.content == Content(texts=("a", "b", "c", "q"), sources=("s",), query="q", unguarded=7)
    filled = texts.filled(["A", "B", "C", "Q"])
    assert filled["messages"][1]["content"][0]["toolResult"]["content"] == [{"text": "B"}, {"json": {"k": ["C"]}}]
    assert filled["messages"][2]["content"][0]["guardContent"]["text"]["text"] == "Q"


def test_tags_of_a_body_mark_what_is_looked_at_and_leave_the_prompt() -> None:
    def tag(kind: str, text: str) -> str:
        return f"<amazon-bedrock-guardrails-{kind}_ab>{text}</amazon-bedrock-guardrails-{kind}_ab>"

    body = f"One {tag('guardContent', 'two')} {tag('groundingSource', 'three')} {tag('query', 'four')}"
    texts = PromptTexts(InvocationRequest(prompt=RawPrompt(text=body), sampling=SAMPLING), "ab")
    assert texts.content == Content(texts=("two",), sources=("three",), query="four", unguarded=15)
    assert texts.filled(["2"]).prompt == RawPrompt(text="One 2 three four")
    turns = ChatPrompt(
        messages=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": None}], system="sys"
    )
    whole = PromptTexts(InvocationRequest(prompt=turns, sampling=SAMPLING), None)
    assert whole.content.texts == ("sys", "hi")
    filled = whole.filled(["S", "H"]).prompt
    assert isinstance(filled, ChatPrompt)
    assert (filled.system, [turn["content"] for turn in filled.messages]) == ("S", ["H", None])


@pytest.mark.parametrize(
    "given", [{"tagSuffix": ""}, {"tagSuffix": "a b"}, {"other": 1}, "x", {"streamProcessingMode": "FAST"}]
)
def test_a_body_that_says_nothing_sensible_of_its_guardrail_is_refused(given: Any) -> None:
    with pytest.raises(Invalid, match="amazon-bedrock-guardrailConfig"):
        read_body_config(given)


class Alike:
    """An encoder that finds texts close which share a word."""

    async def cosines(self, text: str, others: Sequence[str]) -> Sequence[float]:
        return [float(bool({*text.lower().split()} & {*other.lower().split()})) for other in others]


def test_an_encoder_tells_topics_by_a_sentence_that_is_close() -> None:
    topic = {
        "name": "Stocks",
        "definition": "stocks",
        "examples": ["which shares"],
        "type": "DENY",
        "outputAction": "NONE",
    }
    guard = Guard(applied=GUARD.applied, messages=GUARD.messages, topics=(topic,), encoder=Alike())

    def told(text: str, side: Side) -> tuple[tuple[str, ...], bool]:
        assessed = asyncio.run(guard.assess(Content(texts=(text,)), side))
        return assessed.outputs, assessed.assessment.topics[0].detected

    assert told("Hello. And which do you like?", Side.INPUT) == (("No.",), True)
    assert told("Hello there.", Side.INPUT) == (("Hello there.",), False)
    assert told("Some shares rose.", Side.OUTPUT) == (("Some shares rose.",), True)
