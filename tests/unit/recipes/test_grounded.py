"""The recipe `grounded`: prompts as they are served, completions with the marks that are asked for."""

import asyncio
from pathlib import Path

from outcrop.knowledge.answering.grounding import NOTHING_FOUND, UNSUPPORTED, grounded_answer
from outcrop.knowledge.answering.templates import CITING
from outcrop.recipes.grounded import GroundedAnswer, grounded
from outcrop.recipes.recipe import Dropped, Kept
from tests.support.found_passages import found

FEE = found("The fee is 5 dollars. It is due on Monday.", number=0, headings=("Fees",))
HOURS = found("Trading begins at 9:00.", number=1)


def made(answer: str, *passages: object) -> GroundedAnswer | str:
    given = [FEE, HOURS] if not passages else []
    return asyncio.run(grounded_answer("What is the fee, and when does trading begin?", answer, given))


def test_a_completion_names_the_passage_behind_each_sentence() -> None:
    grounded = made("The fee is 5 dollars. Trading begins at 9:00.\n")
    assert isinstance(grounded, GroundedAnswer)
    assert grounded.completion == "The fee is 5 dollars. [1] Trading begins at 9:00. [2]"
    assert "[1] Fees\nThe fee is 5 dollars." in grounded.prompt
    assert CITING in grounded.prompt
    assert grounded.prompt.endswith("Question: What is the fee, and when does trading begin?")


def test_an_answer_that_the_passages_do_not_hold_is_no_record() -> None:
    assert made("The fee is 6 dollars.") == UNSUPPORTED
    assert made("The fee is 5 dollars.", None) == NOTHING_FOUND


def test_rows_become_records_and_the_others_are_left_out_with_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "questions.csv"
    file.write_text("question,answer\nWhat is the fee?,The fee is 5 dollars.\nWho?,\nWhat?,Nonsense.\n")

    def ground(question: str, answer: str) -> GroundedAnswer | str:
        if "fee" not in answer:
            return UNSUPPORTED
        return GroundedAnswer(prompt=f"Q: {question}", completion=f"{answer} [1]", source="s3://a")

    first, second, third = grounded([file], ground=ground)
    assert isinstance(first, Kept)
    assert first.record == {"prompt": "Q: What is the fee?", "completion": "The fee is 5 dollars. [1]"}
    assert first.group == "s3://a"
    reasons = [item.reason for item in (second, third) if isinstance(item, Dropped)]
    assert reasons == ["no text in the column answer or completion or response", UNSUPPORTED]
