"""Public data sets become records: the right words, nothing shared between files, nothing lost in silence."""

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

ROOT = Path(__file__).parents[2]
REAL = ROOT / os.environ.get("OUTCROP_TEST_DATA", "../shared/data")
FOLDERS = {"waka": "waka-hachidaishu", "mts-dialog": "mts-dialog", "jsquad": "jsquad"}
FILES = ("train", "validation", "test")

Row = dict[str, Any]
Converted = dict[str, list[dict[str, str]]]
Convert = Callable[..., Converted]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; examples are no installed package, so their folder is put on the path."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module("convert")


@pytest.fixture
def convert(module: ModuleType, tmp_path: Path) -> Convert:
    """Runs the command line and reads back what it wrote."""

    def run(dataset: str, source: Path, *options: str) -> Converted:
        module.main([dataset, str(source), str(tmp_path / "out"), *options])
        return {name: rows_of(tmp_path / "out" / f"{name}.jsonl") for name in FILES}

    return run


def rows_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def source(folder: Path, **files: list[Row]) -> Path:
    """A source folder with these files."""
    folder.mkdir()
    for name, rows in files.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def waka(upper: str, lower: str) -> Row:
    return {"id": upper, "upper": upper, "lower": lower}


def conversation(dialogue: str, text: str = "None.") -> Row:
    return {"ID": "0", "section_header": "ALLERGY", "section_text": text, "dialogue": dialogue}


def question(title: str, number: int) -> Row:
    return {
        "title": title,
        "context": f"{title} [SEP] {title}は山。",
        "question": f"問{number}?",
        "answers": [f"山{number}", "丘"],
    }


def test_waka_asks_with_the_upper_verse(convert: Convert, tmp_path: Path) -> None:
    poems = source(tmp_path / "in", waka=[waka("a b c", "d e")])
    assert convert("waka", poems, "--validation", "0", "--test", "0")["train"] == [
        {"prompt": "上の句: a b c\n下の句:", "completion": " d e"}
    ]


def test_mts_dialog_asks_for_a_section_and_has_one_kind_of_line_end(convert: Convert, tmp_path: Path) -> None:
    said = [conversation("Doctor: Hay fever? \r\nPatient: No.\r\n", " None. \r\n")]
    files = convert(
        "mts-dialog", source(tmp_path / "in", train=said, validation=[conversation("Doctor: Hm.")]), "--validation", "0"
    )
    assert files["train"] == [
        {
            "prompt": "Summarize the following doctor-patient conversation as the ALLERGY section.\n\n"
            "Doctor: Hay fever?\nPatient: No.\n\nSummary:",
            "completion": " None.",
        }
    ]


def test_jsquad_puts_the_title_on_its_own_line_and_takes_the_first_answer(convert: Convert, tmp_path: Path) -> None:
    asked = source(tmp_path / "in", valid=[question("富士", 1)])
    assert convert("jsquad", asked, "--validation", "0", "--test", "0")["train"] == [
        {"prompt": "富士\n富士は山。\n質問: 問1?\n答え:", "completion": " 山1"}
    ]


def test_poems_with_a_verse_in_common_stay_in_one_file(convert: Convert, tmp_path: Path) -> None:
    # Given a chain: the first and the last poem share nothing, but each shares a verse with the middle one
    chain = [waka("u1", "l1"), waka("u2", "l2"), waka("u1", "l2")]
    poems = source(tmp_path / "in", waka=[*chain, waka("u3", "l3"), waka("u4", "l4")])
    # When a file has room for only one poem of the chain, then the others go to no file
    for seed in range(10):
        files = convert("waka", poems, "--validation", "1", "--test", "1", "--seed", str(seed))
        homes = [name for name, rows in files.items() if any(row["prompt"][5:7] in ("u1", "u2") for row in rows)]
        assert len(homes) == 1


def test_questions_about_one_paragraph_stay_in_one_file(convert: Convert, tmp_path: Path) -> None:
    asked = source(tmp_path / "in", valid=[question(f"山{n}", m) for n in range(12) for m in range(4)])
    files = convert("jsquad", asked, "--validation", "6", "--test", "5")
    assert [len(files[name]) for name in FILES] == [48 - 8 - 8, 6, 5]
    assert_apart([{row["prompt"].split("\n質問")[0] for row in files[name]} for name in FILES])


def test_mts_dialog_keeps_its_own_test_set_and_nothing_of_it_in_training(
    convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = source(
        tmp_path / "in",
        train=[conversation(f"Doctor: {n}") for n in range(5)] + [conversation("Doctor: seen")],
        validation=[conversation("Doctor: seen"), conversation("Doctor: own")],
    )
    files = convert("mts-dialog", folder, "--validation", "2")
    assert [len(files[name]) for name in FILES] == [3, 2, 2]
    assert {row["prompt"].split("\n")[2] for row in files["test"]} == {"Doctor: seen", "Doctor: own"}
    assert "left out: 1 records that share their text with the test set\n" in capsys.readouterr().out


def test_too_long_records_are_left_out_and_counted_by_file(
    convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a tokenizer of one token per word, saved with a truncation and a padding that would hide every length
    tokenizer = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=50)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    # and three poems of 2 + 3 + 1 words and two of one word more, where 3 more tokens are special
    poems = [waka(f"a b {n}", f"d{n} e") for n in range(3)] + [waka(f"a b {n}", f"d{n} e f") for n in (3, 4)]
    # When at most 10 tokens are allowed
    limit = ("--max-tokens", "10", "--tokenizer", str(tmp_path / "tokenizer.json"))
    files = convert("waka", source(tmp_path / "in", waka=poems), "--validation", "1", "--test", "1", *limit)
    # Then the two are left out, and it says so
    assert [len(files[name]) for name in FILES] == [1, 1, 1]
    assert capsys.readouterr().out.splitlines() == [
        "waka.jsonl: 5 records read",
        "left out: 2 records of waka.jsonl longer than 10 tokens",
        f"{tmp_path}/out/train.jsonl: 1 records (2000 asked for)",
        f"{tmp_path}/out/validation.jsonl: 1 records",
        f"{tmp_path}/out/test.jsonl: 1 records",
        "left out: 0 records that these sizes have no room for",
    ]


def test_the_seed_decides_the_files(convert: Convert, tmp_path: Path) -> None:
    poems = source(tmp_path / "in", waka=[waka(f"u{n}", f"l{n}") for n in range(30)])
    sizes = ("--train", "5", "--validation", "5", "--test", "5")
    first = convert("waka", poems, *sizes)
    assert convert("waka", poems, *sizes) == first
    assert convert("waka", poems, *sizes, "--seed", "2") != first


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--max-tokens", "9"], "--max-tokens and --tokenizer belong together. Give both, or neither."),
        ([], "waka.jsonl: no such file. SOURCE_DIR is the folder that holds it."),
    ],
)
def test_a_wrong_command_line_says_how_to_mend_it(
    convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], problem: str
) -> None:
    with pytest.raises(SystemExit):
        convert("waka", tmp_path, *options)
    assert capsys.readouterr().err.endswith(problem + "\n")


def test_a_source_too_small_for_a_training_file_is_refused(convert: Convert, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"Nothing is left for train\.jsonl"):
        convert("waka", source(tmp_path / "in", waka=[waka("u", "l")]))


@pytest.mark.parametrize(
    ("dataset", "sizes"), [("waka", [2000, 200, 200]), ("mts-dialog", [1000, 200, 100]), ("jsquad", [2000, 200, 200])]
)
def test_a_real_data_set_fills_its_files(convert: Convert, dataset: str, sizes: list[int]) -> None:
    folder = REAL / FOLDERS[dataset]
    if not folder.is_dir():
        pytest.skip(f"no folder {FOLDERS[dataset]} in OUTCROP_TEST_DATA (default ../shared/data)")
    files = convert(dataset, folder)
    assert [len(files[name]) for name in FILES] == sizes
    assert all(row["prompt"].strip() and row["completion"].strip() for rows in files.values() for row in rows)
    separator = "\n質問: " if dataset == "jsquad" else "\n\nSummary:"
    assert_apart([{row["prompt"].split(separator)[0].split("\n\n", 1)[-1] for row in files[n]} for n in FILES])
    if dataset == "waka":
        assert_apart([{row["completion"] for row in files[name]} for name in FILES])


def assert_apart(sets: list[set[str]]) -> None:
    """No text is in two of the sets."""
    assert len(set().union(*sets)) == sum(map(len, sets))
