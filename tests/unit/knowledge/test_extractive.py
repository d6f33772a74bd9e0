"""Extracts: the sentences that speak of the question, whole and as they are."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from outcrop.errors import Throttled
from outcrop.knowledge.answering.closeness import closeness_of
from outcrop.knowledge.answering.extractive import Extract, extracts_of, joined
from tests.support.found_passages import found, found_rules
from tests.support.rule_book import ANSWERS

FEES = found("## Fees\n\nThe fee is 5 dollars. It is due on Monday. What if it is late?", headings=("Fees",))
HOURS = found("Trading begins at 9:00. It ends at 15:30.", number=1, headings=("Hours",))


def extracts(question: str) -> list[str]:
    return [extract.text for extract in asyncio.run(extracts_of(question, [FEES, HOURS]))]


def test_the_sentence_that_answers_is_shown_whole() -> None:
    assert extracts("When does trading begin?") == ["Trading begins at 9:00."]
    assert "The fee is 5 dollars." in extracts("How much is the fee?")


def test_nothing_is_shown_where_nothing_speaks_of_the_question() -> None:
    assert extracts("Who invented the umbrella?") == []
    assert asyncio.run(extracts_of("What is the fee?", [])) == []


def test_headings_and_questions_are_no_answers() -> None:
    assert not {"## Fees", "What if it is late?"} & set(extracts("What if fees are late?"))


def test_an_encoder_finds_what_the_words_do_not() -> None:
    async def close(_text: str, others: Sequence[str]) -> Sequence[float]:
        return [0.8 if "15:30" in other else 0.0 for other in others]

    assert [each.text for each in asyncio.run(extracts_of("Closing bell", [FEES, HOURS], close))] == [
        "It ends at 15:30."
    ]


def test_extracts_are_one_text_with_blanks_where_the_script_has_them() -> None:
    texts = ["One.", "二つ。", "Three."]
    parts = joined([Extract(text=text, passage=0, place=place) for place, text in enumerate(texts)])
    assert parts == ["One. ", "二つ。", "Three."]


def test_of_the_questions_of_the_rule_book_nine_in_ten_are_answered_from_the_right_rule() -> None:
    right = []
    keyed = [answer for answer in ANSWERS if any(key for _, key in answer.sentences)]
    for answer in keyed:
        passages = found_rules(answer.question)
        given = asyncio.run(extracts_of(answer.question, [passage for _, passage in passages]))
        keys = {number for _, key in answer.sentences for number in key}
        right.append(bool(keys & {passages[each.passage][0] for each in given}))
    assert sum(right) >= 0.9 * len(keyed), f"{sum(right)} of {len(keyed)}"


@pytest.mark.parametrize("text", ["", "   ", "。", "word " * 2000])
def test_odd_passages_harm_nothing(text: str) -> None:
    assert len(asyncio.run(extracts_of("What is a word?", [found(text)]))) <= 1


def test_an_encoder_that_cannot_be_asked_has_no_opinion_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class AbsentEncoder:
        async def documents(self, _texts: Sequence[str]) -> list[list[float]]:
            raise Throttled("Too many tokens, please wait before trying again.", retry_after_s=1.0)

    close = closeness_of(cast(Any, AbsentEncoder()))
    given = asyncio.run(extracts_of("When does trading begin?", [FEES, HOURS], close))
    assert [each.text for each in given] == ["Trading begins at 9:00."]
    assert "an encoder has no opinion on an answer" in str([record.__dict__ for record in caplog.records])
    assert closeness_of(None) is None
