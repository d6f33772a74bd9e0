"""`outcrop data`: what people type, and what they read."""

import io
import json
from pathlib import Path

import pytest

from outcrop.cli.app import run
from outcrop.cli.recipes import app
from tests.unit.recipes.test_recipes import jsonl

ROWS = [
    {"instruction": f"Question {n}?", "input": "", "output": f"Answer {n}.", "category": "open_qa"} for n in range(22)
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_HOME", str(tmp_path / "home"))


def test_a_recipe_says_what_became_of_every_item(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source,) = jsonl(tmp_path, *ROWS, {"instruction": "x" * 1500, "output": "y"}, {"instruction": "no answer"})
    out = tmp_path / "out"
    assert run(["data", "dolly", str(source), "--out", str(out)]) == 0
    assert capsys.readouterr().out == (
        "24 items read = 22 kept + 2 left out.\n"
        "  left out: 1: over 1,500 characters\n"
        "  left out: 1: no text in the column output or response or answer or answers\n"
        f"  {out}/train.jsonl: 20 records, 20 groups\n"
        f"  {out}/validation.jsonl: 2 records, 2 groups\n"
        f"The card is {out}/README.md.\n"
    )


def test_options_decide_and_the_card_keeps_them(tmp_path: Path) -> None:
    (source,) = jsonl(tmp_path, *ROWS)
    out = tmp_path / "out"
    options = ["--train", "10", "--validation", "20%", "--test", "3", "--seed", "5", "--most-characters", "40"]
    template = ["--prompt", "{{ category }}: {{ instruction }}", "--licence", "CC0"]
    assert run(["data", "dolly", str(source), "--out", str(out), *options, *template]) == 0
    sizes = [len((out / f"{part}.jsonl").read_text().splitlines()) for part in ("train", "validation", "test")]
    assert sizes == [10, 4, 3]
    assert json.loads((out / "test.jsonl").read_text().splitlines()[0])["prompt"].startswith("open_qa: Question")
    card = (out / "README.md").read_text()
    for told in (
        "CC0 (told by whoever ran this).",
        "`train 10, validation 20%, test 3`",
        "| seed | `5` |",
        "| most-characters | `40` |",
    ):
        assert told in card


def test_a_terminal_is_told_how_far_it_is_and_a_pipe_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = jsonl(tmp_path, *ROWS, {"instruction": "no answer"})
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    assert run(["data", "dolly", str(source), "--out", str(tmp_path / "a")]) == 0
    assert terminal.getvalue() == "\rdolly: 23 items read, 22 kept\n"
    monkeypatch.undo()
    assert run(["data", "dolly", str(source), "--out", str(tmp_path / "b"), "--home", str(tmp_path / "home")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dolly", "--out", "o"], "SOURCE: none. Name the files that the recipe reads."),
        (["dolly", "{source}", "--out", "o", "--validation", "many"], "--validation: 'many' is no size of a part."),
        (["dolly", "{source}", "--out", "o", "--prompt", "{{% if"], "--prompt: "),
        (["dolly", "missing.jsonl", "--out", "o"], "missing.jsonl: no such file."),
        (["dolly", "{source}", "--out", "o", "--fits", "no.such-model-v1"], "The provided model identifier is invalid. ('no.such-model-v1' is not"),
        (["dialogue", "{source}", "--out", "o"], "dialogue: nothing is left of 22 items: 22 × no text in the column dialogue."),
        (["dialogue", "{source}", "--out", "o", "--first", "-1"], "--first -1: below 0."),
        (["feedback", "{folder}", "--out", "o"], "{folder}: a folder without a file that ends in .json or .jsonl or .gz."),
        (["feedback", "{source}", "--out", "o", "--metadata", "a"], "--metadata: 'a' is no test."),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (source,), folder = jsonl(tmp_path, *ROWS), tmp_path / "empty"
    folder.mkdir()
    assert run(["data", *(each.format(source=source, folder=folder) for each in arguments)]) == 2
    assert capsys.readouterr().err.startswith(f"outcrop: {sentence.format(source=source, folder=folder)}")
    assert not (tmp_path / "o").exists()


def test_records_that_a_base_model_cannot_take_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source,) = jsonl(tmp_path, *ROWS, {"instruction": "word " * 3000, "output": "y"})
    options = ["--most-characters", "100000", "--fits", "outcrop.starter-v1"]
    assert run(["data", "dolly", str(source), "--out", str(tmp_path / "o"), *options]) == 0
    assert "left out: 1: too long for outcrop.starter-v1, or not learned by it" in capsys.readouterr().out


def test_a_folder_of_logs_is_read_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        folder = tmp_path / "logs" / f"{number:02}"
        folder.mkdir(parents=True)
        log = {"modelId": "m", "requestId": str(number), "requestMetadata": {"task": "sum" if number else "chat"}}
        bodies = {
            "input": {"inputBodyJson": {"prompt": f"q{number}"}},
            "output": {"outputBodyJson": {"generation": "a"}},
        }
        jsonl(folder, log | bodies, name="log.json")
    (ratings,) = jsonl(
        tmp_path, *[{"requestId": str(number), "rating": 1} for number in range(3)], name="ratings.jsonl"
    )
    options = ["--ratings", str(ratings), "--metadata", "task=sum", "--validation", "0"]
    assert run(["data", "feedback", str(tmp_path / "logs"), "--out", str(tmp_path / "o"), *options]) == 0
    assert capsys.readouterr().out.startswith("3 items read = 2 kept + 1 left out.\n")
    assert "| metadata | `task=sum` |" in (tmp_path / "o/README.md").read_text()


def test_every_recipe_is_on_the_page_of_data() -> None:
    page = (Path(__file__).parents[3] / "docs/data.md").read_text()
    recipes = [name for name in app if not name.startswith("-")]
    assert len(recipes) >= 4
    assert [name for name in recipes if f"| `{name}` |" not in page] == []
