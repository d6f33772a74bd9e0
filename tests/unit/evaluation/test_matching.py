"""Short answers are held against references as SQuAD does it, and Japanese by character."""

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.scores.matching import CONTAINS, EXACT_MATCH, TOKEN_F1, accuracy, regular_expression
from outcrop.evaluation.scores.normalising import normalised
from outcrop.evaluation.scores.scoring import Candidate, TextScore


def value(score: TextScore, answer: str, *references: str) -> float | None:
    return score.score_one(Candidate(prompt="?", answer=answer, references=references)).value


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("a well-known man", "wellknown man"),
        ("東京、です。", "東京です"),
        ("「東京」 タワー", "東京タワー"),
        ("ＡＢＣ １２３", "abc 123"),
        ("Été à Paris…", "été à paris"),
    ],
)
def test_what_says_nothing_about_an_answer_is_set_aside(text: str, plain: str) -> None:
    assert normalised(text) == plain


@pytest.mark.parametrize(
    ("answer", "references", "exact", "f1"),
    [
        # By hand, after the rules of SQuAD's evaluation
        ("The Eiffel Tower", ("Eiffel tower.",), 1.0, 1.0),
        ("in Paris, France", ("Paris",), 0.0, 2 * 1 / (3 + 1)),
        ("the cat sat on the mat", ("a cat on a mat",), 0.0, 2 * 3 / (4 + 3)),
        ("red red blue", ("red blue blue",), 0.0, 2 * 2 / (3 + 3)),
        ("Rome", ("Paris", "roma", "ROME"), 1.0, 1.0),
        ("", ("Paris",), 0.0, 0.0),
        ("The", ("a",), 1.0, 1.0),
        # 東京都 has 3 characters, 東京 2; they share 2
        ("東京都", ("東京",), 0.0, 2 * 2 / (3 + 2)),
        ("答えは東京です。", ("東京",), 0.0, 2 * 2 / (7 + 2)),
        ("京都", ("「京都」",), 1.0, 1.0),
        # A Latin word among characters counts as one: gpu を 使 う, and gpu を 使 お う
        ("GPUを使う", ("gpu を使おう",), 0.0, 2 * 4 / (4 + 5)),
    ],
)
def test_exact_match_and_f1(answer: str, references: tuple[str, ...], exact: float, f1: float) -> None:
    assert value(EXACT_MATCH, answer, *references) == exact
    assert value(TOKEN_F1, answer, *references) == pytest.approx(f1, abs=1e-9)


def test_the_unit_that_was_counted_is_said() -> None:
    japanese = TOKEN_F1.score_one(Candidate(prompt="", answer="東京", references=("東京",)))
    english = TOKEN_F1.score_one(Candidate(prompt="", answer="Tokyo", references=("Tokyo",)))
    assert (japanese.details["unit"], english.details["unit"]) == ("characters", "words")


def test_a_record_without_a_reference_has_no_value_and_says_why() -> None:
    found = EXACT_MATCH.score_one(Candidate(prompt="", answer="Tokyo"))
    assert (found.value, found.why_not) == (None, "The record has no reference answer.")


@pytest.mark.parametrize(
    ("answer", "reference", "holds"),
    [
        ("It is Paris, of course.", "paris", 1.0),
        ("Parisians know.", "Paris", 0.0),
        ("首都は東京です。", "東京", 1.0),
        ("首都は京都です。", "東京", 0.0),
    ],
)
def test_contains_wants_whole_words(answer: str, reference: str, holds: float) -> None:
    assert value(CONTAINS, answer, reference) == holds


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("Positive.", "positive", 1.0),
        ("Answer: positive\n\nBecause the writer is glad.", "positive", 1.0),
        ("The label is: Negative", "positive", 0.0),
        ("答え：肯定", "肯定", 1.0),
        ("Class A", "class a", 1.0),
        ("", "positive", 0.0),
    ],
)
def test_a_label_is_read_from_the_first_line(answer: str, reference: str, right: float) -> None:
    assert value(accuracy(), answer, reference) == right


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("I think this is negative, not positive.", "negative", 1.0),
        ("This is very negative", "very negative", 1.0),
        ("I cannot say.", "negative", 0.0),
    ],
)
def test_the_first_known_label_counts_and_the_longest_there(answer: str, reference: str, right: float) -> None:
    assert value(accuracy(["positive", "negative", "very negative"]), answer, reference) == right


def test_a_regular_expression_is_found_anywhere_and_a_bad_one_refused() -> None:
    assert value(regular_expression(r"\b\d{3}-\d{4}\b"), "Call 123-4567.") == 1.0
    assert value(regular_expression(r"^\d+$"), "Call 123-4567.") == 0.0
    with pytest.raises(Invalid, match="Give a pattern as Python writes it"):
        regular_expression("(")


def test_a_pattern_that_backtracks_for_ever_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outcrop.evaluation.scores.matching._LONGEST_MATCH_S", 0.01)
    found = regular_expression(r"^(a|b|ab)*c$").score_one(Candidate(prompt="", answer="ab" * 5000 + "x"))
    assert found.value in (0.0, None)
