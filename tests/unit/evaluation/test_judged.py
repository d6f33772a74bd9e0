"""Answers that a model judges: grades, preferences, and how often the judge agrees with itself."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation import judged
from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, LogProbabilities
from outcrop.evaluation.collecting import CollectedAnswers, CollectedCost
from outcrop.evaluation.judged import JudgedEntries
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.questions import Question, read_questions

QUESTIONS = read_questions(
    [json.dumps({"prompt": f"q{n}", "completion": f"right{n}"}).encode() for n in range(6)], name="t.jsonl"
)
COST = CollectedCost(num_asked=0, num_kept=0, num_prompt_tokens=0, num_completion_tokens=0, seconds=0)


@dataclass
class JudgeDouble:
    """A judge that says what a function makes of the prompt's parts."""

    says: Callable[[dict[str, str]], str]
    name: str = "judge"
    asked: list[str] = field(default_factory=list)

    async def answer(self, question: Question, settings: AnswerSettings) -> EvaluatedAnswer | str:  # noqa: ARG002
        self.asked.append(question.prompt)
        parts = dict(re.findall(r"<(\w+)>\n?(.*?)\n?</\1>", question.prompt, re.DOTALL))
        return EvaluatedAnswer(
            text=self.says(parts), num_prompt_tokens=9, num_completion_tokens=2, stop_reason="stop", seconds=0.1
        )

    async def score_reference(self, question: Question) -> LogProbabilities | str:
        raise AssertionError(question)


def said(name: str, *texts: str) -> CollectedAnswers:
    return CollectedAnswers(
        name=name,
        answers=[
            [EvaluatedAnswer(text=text, num_prompt_tokens=1, num_completion_tokens=1, stop_reason="stop", seconds=0)]
            for text in texts
        ],
        likelihoods=[],
        cost=COST,
    )


BASE = said("base", *["wrong"] * 6)
TUNED = said("tuned", *(f"right{n}" for n in range(4)), "wrong", "wrong")


def run(spelling: str, judge: JudgeDouble, kept: KeptAnswers | None = None) -> JudgedEntries:
    return asyncio.run(judged.judged(judged.find(spelling), judge, QUESTIONS, [BASE, TUNED], kept=kept))


def by_reference(parts: dict[str, str]) -> str:
    return "Held against the reference.\nGrade: " + (
        "correct" if parts["answer"] == parts["reference"] else "incorrect"
    )


def test_a_grade_is_the_value_of_an_answer(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path, "judge")
    first, second = JudgeDouble(by_reference), JudgeDouble(by_reference)
    told = run("judge:Correctness@judge", first, kept)
    assert told.values == {"base": [0.0] * 6, "tuned": [1.0] * 4 + [0.0] * 2}
    assert told.note == "The judge agreed with itself on 12 of 12 answers when its scale was turned round."
    # a judge is asked each prompt once, whenever that was
    assert run("judge:Correctness@judge", second, kept) == told
    assert second.asked == []
    kept.close()


def test_a_judge_that_is_no_judge_gives_no_values() -> None:
    told = run("judge:Correctness@judge", JudgeDouble(lambda _: "a poem about the sea"))
    assert told.values["tuned"] == [None] * 6
    assert set(told.why_not["tuned"]) == {"The judge's answer names none of the grades."}
    assert "nothing tells whether it agrees" in told.note


def test_the_better_answer_wins_in_both_orders() -> None:
    def better(parts: dict[str, str]) -> str:
        right = [label for label in ("a", "b") if parts[f"answer_{label}"] == parts["reference"]]
        return right[0].upper() if len(right) == 1 else "tie"

    told = run("preference@judge", JudgeDouble(better))
    assert told.values == {"base": [0.5] * 6, "tuned": [1.0] * 4 + [0.5] * 2}
    assert told.note == "The judge kept its mind in 100% of the pairs when the answers changed places."


def test_the_place_of_an_answer_wins_nothing() -> None:
    told = run("preference@judge", JudgeDouble(lambda _: "A"))
    assert told.values["tuned"] == [0.5] * 6
    assert told.note.startswith("The judge kept its mind in 0%")


@pytest.mark.parametrize(
    ("spelling", "problem"),
    [
        ("judge:Correctness", "names no judge"),
        ("judge:Beauty@m", "Beauty is no criterion"),
        ("preference@", "no judge"),
    ],
)
def test_a_spelling_without_judge_or_criterion_is_refused(spelling: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        judged.find(spelling)
