"""Grades read out of a judge's words: exactly one of the scale, or none."""

import pytest

from outcrop.evaluation.judging.criteria import OF_GROUNDED_ANSWERS, OF_MODELS, OF_RETRIEVAL, criterion
from outcrop.evaluation.judging.grades import read_grade, why_unread

SCALE = criterion("Builtin.Correctness").scale


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("It is right.\nGrade: correct", 1.0),
        ("It is right.\n\n**Grade:** Correct.", 1.0),
        ("Some of it.\nGRADE = partly_correct", 0.5),
        ("Final grade: “incorrect”", 0.0),
        ("Grade: incorrect\nNo, I look again.\nGrade: correct", 1.0),
        ("correct", 1.0),
        (' {"reason": "as it is", "grade": "partly correct"} ', 0.5),
        ('{"grade": "correct", "reason": "as it is"}', 1.0),
        ('```json\n{"Grade": "incorrect"}\n```', 0.0),
    ],
)
def test_a_grade_of_the_scale_is_read(told: str, value: float) -> None:
    given = read_grade(told, SCALE)
    assert given.grade is not None
    assert given.grade.value == value


@pytest.mark.parametrize(
    "told",
    [
        "",
        "The answer is correct.",
        "Grade: incorrect | partly correct | correct",
        "Grade: very correct",
        "Grade: correct or incorrect",
        "Grade: 7",
        "Score: correct",
        '{"grade": ["correct", "incorrect"]}',
        "{" * 5000 + '"grade"' + "}" * 5000,
    ],
)
def test_what_is_not_exactly_one_grade_is_none(told: str) -> None:
    assert read_grade(told, SCALE).grade is None


def test_a_reader_is_told_what_the_judge_said_instead() -> None:
    assert why_unread(read_grade("Well…", SCALE), SCALE) == (
        "No grade could be read, which should have been one of: incorrect, partly correct, correct. The judge said: Well…"
    )
    assert why_unread(read_grade(" ", SCALE), SCALE).startswith("The judge said nothing")


def test_the_explanation_is_what_the_judge_said_less_the_grade() -> None:
    assert read_grade("It is right.\nGrade: correct", SCALE).explanation == "It is right."
    assert read_grade("correct", SCALE).explanation == "correct"


def test_every_criterion_of_bedrock_has_a_scale_from_0_to_1() -> None:
    for name in {*OF_MODELS, *OF_RETRIEVAL, *OF_GROUNDED_ANSWERS}:
        values = [each.value for each in criterion(name).scale]
        assert (min(values), max(values)) == (0.0, 1.0), name
        assert len({each.label for each in criterion(name).scale}) == len(values), name
    assert (len(OF_MODELS), len(OF_RETRIEVAL), len(OF_GROUNDED_ANSWERS)) == (11, 2, 10)
