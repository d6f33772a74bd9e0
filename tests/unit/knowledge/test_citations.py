"""Citations: what bears a sentence out, and what does not."""

import asyncio
from collections.abc import Sequence

import pytest

from outcrop.knowledge.answering.citations import CitedPart, Evidence, supported_share
from outcrop.knowledge.answering.sentences import AnswerReader, AnswerSentence
from outcrop.knowledge.passages import Found
from tests.support.found_passages import found, found_rules
from tests.support.rule_book import ANSWERS, RULES

FEE = found(
    "The fee is 2,500 dollars. It is not refundable. It is due within one day.",
    number=0,
    headings=("Membership", "Fees"),
)
SHORT = found("No member shall sell a share short. Short sales shall be marked when they are entered.", number=1)
WORDS = found("The Secretary said that “the register is open to every member of the Exchange” at noon.", number=2)


def cited(sentence: str, *passages: Found, question: str = "", marked: tuple[int, ...] = ()) -> tuple[int, ...]:
    evidence = Evidence(passages, question)
    return asyncio.run(evidence.cite(AnswerSentence(text=sentence, start=0, marked=marked))).cited


@pytest.mark.parametrize(
    "sentence",
    [
        "The fee is 2,500 dollars.",
        "The fee for membership comes to 2500 dollars.",
        "1. The fee is 2,500 dollars, and it is not refundable.",
        "The FEE is 2,500 dollars",
    ],
)
def test_what_is_there_is_supported(sentence: str) -> None:
    assert cited(sentence, FEE, SHORT) == (0,)


@pytest.mark.parametrize(
    "sentence",
    [
        "The fee is 2,600 dollars.",  # another number
        "The fee is refundable.",  # the contrary
        "Members may sell a share short.",
        "Short sales shall not be marked when they are entered.",
        "The fee is collected by the Ministry of Finance.",  # more than is there
        "Yes.",
        "1",
        "The fee:",
        "Is the fee 2,500 dollars?",
        "The Secretary said that “the register is closed to every member of the Exchange”.",  # not what was said
    ],
)
def test_what_is_not_there_is_not(sentence: str) -> None:
    assert cited(sentence, FEE, SHORT, WORDS) == ()


def test_a_short_answer_stands_where_its_question_is_spoken_of() -> None:
    assert cited("2,500 dollars.", SHORT, FEE, question="How much is the membership fee?") == (1,)
    assert cited("2,500 dollars.", SHORT, FEE, question="How much does an umbrella cost?") == ()


def test_a_mark_of_the_model_is_believed_where_it_passes() -> None:
    twice = found("The fee is 2,500 dollars.", number=3)
    assert cited("The fee is 2,500 dollars.", FEE, twice, marked=(1,)) == (1,)
    assert cited("The fee is 2,500 dollars.", FEE, twice) == (0, 1)
    assert cited("The fee is 2,500 dollars.", FEE, SHORT, marked=(1,)) == (0,)  # what it names says nothing of it


def test_an_encoder_is_asked_where_the_words_differ_and_numbers_hold_all_the_same() -> None:
    asked: list[str] = []

    async def close(sentence: str, others: Sequence[str]) -> Sequence[float]:
        asked.append(sentence)
        return [0.9] * len(others)

    def by_meaning(text: str) -> tuple[int, ...]:
        evidence = Evidence([FEE], "", close)
        return asyncio.run(evidence.cite(AnswerSentence(text=text, start=0))).cited

    assert by_meaning("Joining costs a fee of 2,500 dollars.") == (0,)
    assert by_meaning("Joining costs a fee of 2,600 dollars.") == ()
    assert len(asked) == 1


def test_the_share_of_supported_claims_leaves_out_what_claims_nothing() -> None:
    parts = [
        CitedPart(text="a", start=0, cited=(1,)),
        CitedPart(text="b", start=1),
        CitedPart(text="c:", start=2, is_claim=False),
    ]
    assert supported_share(parts) == 0.5
    assert supported_share([]) == 1.0


def test_citations_of_sixty_answers_are_precise_by_a_key_written_by_hand() -> None:
    """Each answer is held against the rules that share words with its question and itself, the right ones among them."""
    numbers = [*RULES]
    right = wrong = missed = 0
    faults: list[str] = []
    for answer in ANSWERS:
        passages = found_rules(answer.question + answer.text)
        evidence = Evidence([passage for _, passage in passages], answer.question)
        for text, key in answer.sentences:
            part = asyncio.run(evidence.cite(AnswerSentence(text=text, start=0)))
            given = {passages[number][0] for number in part.cited}
            right += len(given & key)
            wrong += len(given - key)
            missed += bool(key) and not given & key
            if given - key or (key and not given & key):
                faults.append(f"{text} {sorted(given)} instead of {sorted(key)}")
    assert len(numbers) == 32
    precision, recall = right / (right + wrong), right / (right + missed)
    assert precision >= 0.9, faults
    assert recall >= 0.9, faults


def test_every_answer_of_the_book_is_taken_apart_into_the_sentences_of_its_key() -> None:
    for answer in ANSWERS:
        reader = AnswerReader(0)
        _, first = reader.push(answer.text)
        _, rest = reader.finish()
        assert [sentence.text.strip() for sentence in [*first, *rest]] == [text for text, _ in answer.sentences]
