"""Answers that are asked for once, kept, and there again after a kill."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, LogProbabilities
from outcrop.evaluation.collecting import CollectedAnswers, collect
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.questions import Question, read_questions

QUESTIONS = read_questions(
    [json.dumps({"prompt": f"q{number}", "completion": f"a{number}"}).encode() for number in range(5)], name="t.jsonl"
)
SETTINGS = AnswerSettings()


@dataclass
class Parrot:
    """A model that says the prompt back, and refuses one question."""

    name: str = "parrot"
    refused: str = ""
    fails_after: int | None = None
    asked: list[str] = field(default_factory=list)

    async def answer(self, question: Question, settings: AnswerSettings) -> EvaluatedAnswer | str:
        self._ask(f"answer {question.prompt} {settings.seed}")
        if question.prompt == self.refused:
            return "It is too long."
        return EvaluatedAnswer(
            text=question.prompt, num_prompt_tokens=2, num_completion_tokens=1, stop_reason="stop", seconds=0.5
        )

    async def score_reference(self, question: Question) -> LogProbabilities | str:
        self._ask(f"score {question.prompt}")
        return LogProbabilities(nats=-2.0, num_tokens=2, num_bytes=2, num_prompt_tokens=2)

    def _ask(self, what: str) -> None:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise ConnectionError("killed")
        self.asked.append(what)


def run(model: Parrot, folder: Path, *, num_seeds: int = 1, identity: str = "m") -> CollectedAnswers:
    kept = KeptAnswers(folder, identity)
    try:
        return asyncio.run(collect(model, QUESTIONS, SETTINGS, kept=kept, num_seeds=num_seeds, at_once=1))
    finally:
        kept.close()


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    first, second = Parrot(), Parrot()
    told, again = run(first, tmp_path), run(second, tmp_path)
    assert len(first.asked) == 10
    assert second.asked == []
    assert [one.text for all_of in again.answers for one in all_of if isinstance(one, EvaluatedAnswer)] == [
        "q0", "q1", "q2", "q3", "q4",
    ]  # fmt: skip
    assert (again.answers, again.likelihoods) == (told.answers, told.likelihoods)
    assert (told.cost.num_asked, told.cost.num_kept) == (10, 0)
    assert (again.cost.num_asked, again.cost.num_kept, again.cost.seconds) == (0, 10, 0.0)
    # the tokens are those of all answers, whenever they were given
    assert (again.cost.num_prompt_tokens, again.cost.num_completion_tokens) == (5 * 2 + 5 * 4, 5)


def test_another_model_another_seed_and_what_was_refused_are_asked(tmp_path: Path) -> None:
    run(Parrot(refused="q3"), tmp_path)
    again, other = Parrot(), Parrot()
    told = run(again, tmp_path, num_seeds=2)
    assert sorted(again.asked) == sorted(["answer q3 0", *(f"answer q{number} 1" for number in range(5))])
    assert [len(each) for each in told.answers] == [2] * 5
    run(other, tmp_path, identity="other")
    assert len(other.asked) == 10


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    killed = Parrot(fails_after=7)
    with pytest.raises(ConnectionError):
        run(killed, tmp_path)
    (file,) = tmp_path.iterdir()
    with file.open("ab") as cut:
        cut.write(b'{"key": "half a li')  # as a power cut leaves it
    goes_on = Parrot()
    told = run(goes_on, tmp_path)
    assert len(goes_on.asked) == 3
    assert all(isinstance(one, EvaluatedAnswer) for all_of in told.answers for one in all_of)
    assert run(Parrot(), tmp_path).cost.num_asked == 0
