"""Length, repetition and language of an answer."""

import pytest

from outcrop.evaluation.scores.scoring import Candidate, ScoreValue, TextScore
from outcrop.evaluation.scores.surface import LANGUAGE, LENGTH_CHARACTERS, LENGTH_TOKENS, REPETITION

ENGLISH = "The river that flows through London is called the Thames."
JAPANESE = "ロンドンを流れる川はテムズ川といいます。"


def scored(
    score: TextScore, answer: str, reference: str = "", prompt: str = "", tokens: int | None = None
) -> ScoreValue:
    references = (reference,) if reference else ()
    return score.score_one(Candidate(prompt=prompt, answer=answer, references=references, num_answer_tokens=tokens))


def test_lengths_are_characters_and_the_models_own_tokens() -> None:
    assert scored(LENGTH_CHARACTERS, "東京 Tokyo").value == 8.0
    assert scored(LENGTH_TOKENS, "東京", tokens=3).value == 3.0
    assert scored(LENGTH_TOKENS, "東京").why_not == "The model did not tell how many tokens its answer has."


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("one two three four five", 0.0),
        ("one two", 0.0),
        ("", 0.0),
        # 9 runs of four; 4 different ones
        ("go on and on " * 3, 1 - 4 / 9),
        # 12 characters: 9 runs of four, 4 different ones
        ("はいはい。" * 3, 1 - 2 / 9),
    ],
)
def test_repetition_is_the_share_of_runs_that_came_before(answer: str, share: float) -> None:
    assert scored(REPETITION, answer).value == pytest.approx(share)


def test_the_language_is_that_of_the_reference_or_else_of_the_prompt() -> None:
    assert scored(LANGUAGE, ENGLISH, reference=ENGLISH).value == 1.0
    assert scored(LANGUAGE, ENGLISH, reference=JAPANESE, prompt=ENGLISH).value == 0.0
    assert scored(LANGUAGE, JAPANESE, prompt=JAPANESE).value == 1.0
    told = scored(LANGUAGE, JAPANESE + " The Thames, London, England", reference=JAPANESE).details
    assert (told["language"], told["expected"]) == ("Japanese", "Japanese")
    assert str(told["by"]).startswith("script")


def test_a_text_too_short_has_no_language() -> None:
    assert scored(LANGUAGE, "42", prompt=ENGLISH).why_not == "The answer is too short to tell its language."
    assert scored(LANGUAGE, ENGLISH, prompt="Why?").why_not == "The prompt is too short to tell its language."
