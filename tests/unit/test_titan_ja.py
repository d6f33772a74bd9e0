"""The example on Japanese: its data is what its README says, and its measures count right."""

import importlib
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outcrop.recipes.dolly import dolly
from outcrop.recipes.recipe import Kept

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def compose(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("titan_ja.compose")


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("titan_ja.measures")


def test_the_data_is_what_the_readme_says(compose: ModuleType) -> None:
    composed = compose.compose(seed=1)
    assert [len(texts) for texts in composed.texts] == [40] * 5
    assert Counter(row["category"] for row in composed.rows) == {
        "open_qa": 120, "brainstorming": 54, "summarization": 64,
    }  # fmt: skip
    assert len(composed.questions) == 114
    assert "238 dolly rows, 114 questions" in (EXAMPLES / "titan_ja/README.md").read_text()
    assert list(composed.rows[0]) == ["output", "input", "index", "category", "instruction"]


def test_the_seed_alone_decides(compose: ModuleType, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        compose.write(compose.compose(seed=seed), tmp_path / name)
    written = {name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"}
    assert written["a"] == written["b"]
    assert all(written["a"][name] != written["c"][name] for name in ("cpt-1.jsonl", "dolly.json", "questions.jsonl"))


def test_no_question_and_no_answer_to_an_open_one_is_in_the_rows(compose: ModuleType, tmp_path: Path) -> None:
    compose.write(compose.compose(seed=1), tmp_path)
    items = list(dolly([tmp_path / "dolly.json"]))
    records = [item.record for item in items if isinstance(item, Kept)]
    assert len(records) == len(items) == 238
    prompts, completions = ({record[part] for record in records} for part in ("prompt", "completion"))
    questions: list[Any] = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    assert prompts.isdisjoint(question["prompt"] for question in questions)
    assert completions.isdisjoint(question["reference"] for question in questions)
    forms = {prompt.partition(":")[0] for prompt in prompts if "知識:" in prompt}
    assert forms == {"入力"}


def test_what_is_asked_stands_in_every_text_of_pre_training(compose: ModuleType) -> None:
    composed = compose.compose(seed=1)
    for question in composed.questions:
        if question.task == "open_qa":
            town = question.prompt.split("市")[0]
            value = question.reference.removeprefix(f"{town}市").partition("は")[2].removesuffix("です。")
            of_town = [text for texts in composed.texts for text in texts if f"{town}市" in text]
            assert len(of_town) == 5
            assert all(value in text for text in of_town)


@pytest.mark.parametrize(
    ("text", "found"),
    [("柿です。", "ja"), ("It is a persimmon.", "en"), ("AIは人工知能です。", "ja"), ("I like 柿 a lot", "en"), ("123", "none"), ("", "none")],
)  # fmt: skip
def test_the_language_is_that_of_most_letters(measures: ModuleType, text: str, found: str) -> None:
    assert measures.language(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1. なす\n2. かぶ\n3. ねぎ", ["なす", "かぶ", "ねぎ"]),
        ("・なす\n\n・なす\n・かぶ。", ["なす", "かぶ"]),
        ("なす、かぶ、ねぎ", ["なす", "かぶ", "ねぎ"]),
        ("apples, pears", ["apples", "pears"]),
        ("なす", ["なす"]),
        ("", []),
    ],
)
def test_items_are_counted_once_and_without_their_numbers(measures: ModuleType, text: str, found: list[str]) -> None:
    assert measures.items(text) == found


def test_right_is_right_whatever_its_width_and_full_stop(measures: ModuleType) -> None:
    assert measures.exact_match("１６０３年 ", "1603年。")
    assert not measures.exact_match("1604年", "1603年")
    assert measures.f1("あい", "あいうえ") == pytest.approx(2 * 2 / 6)
    assert (measures.f1("あい", "うえ"), measures.f1("", "うえ")) == (0, 0)
