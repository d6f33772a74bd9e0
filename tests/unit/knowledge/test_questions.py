"""Questions made ready for the search: those that lean, compound ones, and a model that does not do as it is told."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from outcrop.knowledge.answering import questions
from outcrop.knowledge.answering.settings import WritingSettings
from outcrop.knowledge.answering.talks import TalkTurn
from outcrop.knowledge.answering.templates import PromptTemplate
from outcrop.knowledge.answering.writing import Writer

NOW = datetime(2026, 5, 4, tzinfo=UTC)
TURNS = (TalkTurn(question="What is the initial margin of shares?", answer="It is 50 percent."),)


@dataclass
class SpokenWriter:
    """A model that says one thing, whatever it is asked."""

    says: str
    prompts: list[str] = field(default_factory=list)

    async def text(self, prompt: str, settings: WritingSettings) -> str:
        self.prompts.append(prompt)
        assert settings.max_tokens is not None
        assert settings.max_tokens <= 256
        return self.says


def spoken(says: str) -> tuple[Writer, list[str]]:
    writer = SpokenWriter(says)
    return cast(Any, writer), writer.prompts


def rewritten(says: str, *, template: PromptTemplate | None = None) -> str:
    writer, _ = spoken(says)
    work = questions.rewritten(
        "And for bonds?", TURNS, writer=writer, template=template, settings=WritingSettings(), now=NOW
    )
    return asyncio.run(work)


@pytest.mark.parametrize(
    ("question", "leans"),
    [
        ("Is it the same for bonds?", True),
        ("And bonds?", True),
        ("それは債券も同じですか。", True),
        ("How long must order tickets be kept by members?", False),
    ],
)
def test_a_question_that_leans_is_searched_with_the_one_before(question: str, leans: bool) -> None:
    found = questions.leaning(question, TURNS)
    assert found == (f"{TURNS[0].question}\n{question}" if leans else question)
    assert questions.leaning(question, ()) == question


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("What is the fee and who decides?", ["What is the fee", "who decides?"]),
        ("What is the fee? Who decides on it?", ["What is the fee?", "Who decides on it?"]),
        ("手数料はいくらですか？誰が決定しますか？", ["手数料はいくらですか？", "誰が決定しますか？"]),
        ("What are stocks and bonds?", ["What are stocks and bonds?"]),
        ("What is the fee?", ["What is the fee?"]),
    ],
)
def test_a_compound_question_is_divided_where_it_asks_again(question: str, parts: list[str]) -> None:
    assert questions.divided(question) == parts


def test_a_question_stands_alone_as_the_model_writes_it() -> None:
    assert rewritten("What is the initial margin for bonds?\n") == "What is the initial margin for bonds?"
    assert rewritten('Question: "What is the initial margin for bonds?"') == "What is the initial margin for bonds?"


@pytest.mark.parametrize("says", ["", "\n\n", "Once upon a time there lived a king in a castle.", "x" * 2000])
def test_what_is_no_question_about_the_same_gives_way_to_the_words_themselves(says: str) -> None:
    assert rewritten(says) == f"{TURNS[0].question}\nAnd for bonds?"


def test_a_template_without_places_gets_the_talk_before_and_the_question_behind() -> None:
    writer, prompts = spoken("What is the initial margin for bonds?")
    work = questions.rewritten(
        "And for bonds?",
        TURNS,
        writer=writer,
        template=PromptTemplate(text="Rewrite."),
        settings=WritingSettings(),
        now=NOW,
    )
    asyncio.run(work)
    assert prompts == [
        "User: What is the initial margin of shares?\nAssistant: It is 50 percent.\n\nRewrite.\n\nAnd for bonds?"
    ]


@pytest.mark.parametrize(
    ("says", "parts"),
    [
        ("- What is the fee?\n- Who decides?\n\n", ["What is the fee?", "Who decides?"]),
        ("1) What is the fee?\n2) What is the fee?", ["What is the fee?"]),
        ("I cannot help.", ["What is the fee", "who decides?"]),
        ("", ["What is the fee", "who decides?"]),
        ("\n".join(f"Who decides on {n}?" for n in range(9)), [f"Who decides on {n}?" for n in range(5)]),
    ],
)
def test_a_model_divides_a_question_and_its_words_do_where_it_does_not(says: str, parts: list[str]) -> None:
    writer, _ = spoken(says)
    work = questions.decomposed("What is the fee and who decides?", writer=writer, settings=WritingSettings())
    assert asyncio.run(work) == parts
