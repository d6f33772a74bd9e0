"""Answers are JSON as they stand, and keep to a schema, or say where they do not."""

from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.scores.json_answers import JSON_VALID, json_schema, read_schema
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue, TextScore

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ages": {"type": "array", "items": {"$ref": "#/$defs/age"}}},
    "required": ["name"],
    "$defs": {"age": {"type": "integer", "minimum": 0}},
}


def scored(score: TextScore, answer: str) -> ScoreValue:
    return score.score_one(Candidate(prompt="", answer=answer))


@pytest.mark.parametrize(
    ("answer", "value", "problem"),
    [
        (' {"a": [1, null]}\n', 1.0, ""),
        ('{"a": 1,}', 0.0, "not JSON: "),
        ('```json\n{"a": 1}\n```', 0.0, "a code fence stands around it"),
        ("[NaN]", 0.0, "not JSON: NaN is no JSON"),
        ("", 0.0, "empty"),
        ("[" * 100_000, 0.0, "not JSON: "),
    ],
)
def test_an_answer_is_json_as_it_stands_or_says_why_not(answer: str, value: float, problem: str) -> None:
    found = scored(JSON_VALID, answer)
    assert found.value == value
    assert str(found.details.get("problem", "")).startswith(problem)


@pytest.mark.parametrize(
    ("answer", "value", "problem"),
    [
        ('{"name": "Ada", "ages": [36]}', 1.0, None),
        ('{"ages": [36]}', 0.0, "the whole: 'name' is a required property"),
        ('{"name": "Ada", "ages": [36, -1]}', 0.0, "ages[1]: -1 is less than the minimum of 0"),
        ("Ada", 0.0, "not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_an_answer_keeps_to_its_schema_or_names_the_place(answer: str, value: float, problem: str | None) -> None:
    found = scored(json_schema(SCHEMA, "ages.json"), answer)
    assert (found.value, found.details.get("problem")) == (value, problem)


def test_a_bad_schema_is_refused_and_one_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"ages\.json: type: 'text' is not valid"):
        json_schema({"type": "text"}, "ages.json")
    elsewhere = scored(json_schema({"$ref": "http://127.0.0.1:9/schema"}, "ages.json"), "{}")
    assert elsewhere.value is None
    assert "Put what the schema refers to into its $defs." in elsewhere.why_not
    with pytest.raises(Invalid, match="Name a file with a JSON Schema"):
        read_schema(tmp_path / "absent.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(Invalid, match="is an object, true or false"):
        read_schema(tmp_path / "list.json")
