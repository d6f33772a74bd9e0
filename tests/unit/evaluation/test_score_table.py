"""Scores are found by the names that people write, and every one of them scores."""

import math
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.scores.copying import RunIndex
from outcrop.evaluation.scores.scoring import Candidate
from outcrop.evaluation.scores.table import TABLE, ScoreMaterials, find

ROOT = Path(__file__).parent.parent.parent.parent
MATERIALS = ScoreMaterials(encode=lambda texts: [[1.0, 0.0]] * len(texts), training=RunIndex(["some text"]))
CANDIDATES = [
    Candidate(prompt="Which river?", answer=answer, references=("The Thames", "テムズ川です"), num_answer_tokens=4)
    for answer in ("The Thames flows through London.", "テムズ川です。", "", "\ud800 \0 \U0001f600", "a" * 5000)
]


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "schema.json").write_text("{}")
    return {
        "json_schema": str(tmp_path / "schema.json"),
        "function": "os.path:isabs",
        "regular_expression": "^a:b$",
    }


@pytest.mark.parametrize("name", TABLE)
def test_every_score_scores_any_answer_or_says_why_not(name: str, arguments: dict[str, str]) -> None:
    argument = arguments.get(name)
    score = find(f"{name}:{argument}" if argument else name, MATERIALS)
    assert score.name == (f"{name}:{argument}" if argument else name)
    for found in score.score(CANDIDATES):
        assert (found.value is None) == bool(found.why_not)
        assert found.value is None or math.isfinite(found.value)
        assert found.value in (None, 0.0, 1.0) or not score.is_share
    assert score.score([]) == []


@pytest.mark.parametrize(
    ("spelling", "sentence"),
    [
        ("rogue_l", "'rogue_l' is no score. There are: exact_match, token_f1,"),
        ("exact_match:1", "exact_match takes no argument. Write exact_match."),
        ("regular_expression", "regular_expression needs an argument. Write regular_expression:PATTERN."),
        ("embedding_similarity", "embedding_similarity needs an encoder. Name an embedding model"),
        ("copied_from_training", "copied_from_training needs the training texts."),
        ("rouge_l:letters", "'letters' is no unit of a text. Write words or characters."),
    ],
)
def test_a_spelling_that_is_no_score_says_what_to_write(spelling: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        find(spelling)
    assert sentence in refused.value.message


def test_japanese_with_bytes_that_are_no_text_is_scored(arguments: dict[str, str]) -> None:
    broken = Candidate(prompt="\ud800", answer="東京です\ud800。\0はい", references=("東京です。はい", "\ud800です"))
    for name in TABLE:
        found = find(f"{name}:{arguments[name]}" if name in arguments else name, MATERIALS).score_one(broken)
        assert (found.value is None) == bool(found.why_not)


def test_every_score_has_its_row_in_the_page() -> None:
    page = (ROOT / "docs/scores.md").read_text()
    assert [name for name in TABLE if f"| `{name}" not in page] == []
