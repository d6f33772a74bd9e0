"""A dataset of several files is read as one; whatever form a file has, the same records become the same ids."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.datasets import dataset as dataset_of
from outcrop.datasets.encoded_file import read_encoded
from outcrop.datasets.preflight import examine
from outcrop.datasets.report.value import Overlap, Report
from outcrop.errors import Invalid
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import byte_level


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    return Tokenizer.open(byte_level(tmp_path / "base"))


def jsonl(path: Path, *records: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def pair(prompt: str, completion: str) -> dict[str, str]:
    return {"prompt": prompt, "completion": completion}


def examined(tokenizer: Tokenizer, *datasets: Path | dataset_of.Dataset, **more: Any) -> Report:
    return examine(datasets, tokenizer=tokenizer, context_length=400, customization="FINE_TUNING", **more)


def test_files_of_a_folder_come_by_name_and_hidden_ones_are_no_data(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/z.json", "_SUCCESS", ".crc/a.jsonl", "a.jsonl", "Ü.jsonl"):
        jsonl(tmp_path / "train" / name, pair("a", "b"))
    read = dataset_of.of_path(tmp_path / "train")
    assert [file.name for file in read.files] == [
        "train/a.jsonl", "train/a/z.json", "train/b.jsonl", "train/Ü.jsonl",
    ]  # fmt: skip


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    jsonl(tmp_path / "train" / "_SUCCESS")
    with pytest.raises(Invalid, match=r"^train: a folder without data files\. Put some into it, or name another\.$"):
        dataset_of.of_path(tmp_path / "train")


def test_several_files_are_one_dataset_whatever_order_they_are_given_in(tmp_path: Path) -> None:
    paths = [jsonl(tmp_path / name, pair("a", "b")) for name in ("b.jsonl", "a.jsonl")]
    read = dataset_of.of_paths(paths)
    assert (read.name, [file.name for file in read.files]) == ("a.jsonl and 1 more", ["a.jsonl", "b.jsonl"])
    with pytest.raises(Invalid, match=r"a\.jsonl: named twice\. Name each file once\.$"):
        dataset_of.of_paths([paths[1], paths[1]])


def test_files_of_one_name_are_told_by_their_paths(tmp_path: Path) -> None:
    paths = [jsonl(tmp_path / folder / "t.jsonl", pair("a", "b")) for folder in "ab"]
    assert [file.name for file in dataset_of.of_paths(paths).files] == [str(path) for path in paths]


def test_the_report_has_an_entry_a_file_and_finds_copies_across_them(tmp_path: Path, tokenizer: Tokenizer) -> None:
    jsonl(tmp_path / "train" / "1.jsonl", pair("a", "b"), pair("c", "d"), pair("a", "b"))
    jsonl(tmp_path / "train" / "2.jsonl", pair("e", "f"), pair("c", "d"))
    jsonl(tmp_path / "valid" / "1.jsonl", pair("x", "y"))
    jsonl(tmp_path / "valid" / "2.jsonl", pair("e", "f"), pair("x", "y"))
    found = examined(tokenizer, tmp_path / "train", tmp_path / "valid")
    assert [(file.name, file.part, file.num_records) for file in found.files] == [
        ("train/1.jsonl", 0, 3), ("train/2.jsonl", 0, 2), ("valid/1.jsonl", 1, 1), ("valid/2.jsonl", 1, 2),
    ]  # fmt: skip
    assert [file.overlap for file in found.files] == [
        (),
        (Overlap(2, 2, "train/1.jsonl"),),
        (),
        (Overlap(1, 1, "train/2.jsonl"), Overlap(2, 1, "valid/1.jsonl")),
    ]
    text = found.to_text()
    assert "  overlap           1   also in train/1.jsonl: lines 2 = 2\n" in text
    assert "also in files before it, so they test memory: lines 1 = train/2.jsonl:1, 2 = valid/1.jsonl:1\n" in text
    assert "2 files together\n  records           5\n" in text
    assert "2 files together\n  records           3\n" in text


def test_a_problem_names_its_file_and_one_form_holds_for_all(tmp_path: Path, tokenizer: Tokenizer) -> None:
    jsonl(tmp_path / "train" / "1.jsonl", pair("a", "b"))
    jsonl(tmp_path / "train" / "2.jsonl", pair("a", "b"), {"prompt": "a"})
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    jsonl(tmp_path / "train" / "3.jsonl", {"messages": chat})
    found = examined(tokenizer, tmp_path / "train")
    assert [str(problem) for problem in found.problems] == [
        "train/2.jsonl:2: completion: missing. Give the record a completion, or remove the line.",
        "train/3.jsonl: its records have another form than those of train/1.jsonl. Give both files one form.",
    ]


def test_encoded_records_keep_the_index_of_their_file(tmp_path: Path, tokenizer: Tokenizer) -> None:
    jsonl(tmp_path / "train" / "1.jsonl", pair("a", "b"), pair("c", "d"))
    jsonl(tmp_path / "train" / "2.jsonl", pair("e", "f"))
    examined(tokenizer, tmp_path / "train", encoded=[tmp_path / "kept"])
    kept = read_encoded(tmp_path / "kept", context_length=400)
    assert kept is not None
    assert [(each.file, each.line) for each in kept] == [(0, 1), (0, 2), (1, 1)]


def test_an_alpaca_array_trains_on_the_ids_of_its_pairs(tmp_path: Path, tokenizer: Tokenizer) -> None:
    alpaca = [
        {"instruction": "add", "input": "2 and 3", "output": "5", "text": "…"},
        {"instruction": "greet", "input": "", "output": "hi"},
    ]
    packed = tmp_path / "train.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(alpaca).encode()))
    plain = jsonl(tmp_path / "train.jsonl", pair("add\n\n2 and 3", "5"), pair("greet", "hi"))
    ids = {}
    for path in (packed, plain):
        report = examined(tokenizer, path, encoded=[tmp_path / "kept"])
        assert not report.problems
        kept = read_encoded(tmp_path / "kept", context_length=400)
        assert kept is not None
        ids[path] = [(each.ids.tolist(), each.learned.tolist(), each.line) for each in kept]
    assert ids[packed] == ids[plain]


def test_conversions_are_told_by_rule_and_refused_when_strict(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = jsonl(
        tmp_path / "train.jsonl",
        pair("a", "b"),
        {"output": "d", "input": "", "index": "7", "category": "open_qa", "instruction": "c"},
        {"instruction": "e", "context": "f", "response": "g", "category": "closed_qa"},
    )
    report = examined(tokenizer, path)
    assert not report.problems
    assert [line for line in report.to_text().splitlines() if "converted" in line] == [
        "  converted         1   Alpaca's form (instruction, input, output): prompt = instruction, and after an empty line "
        "input where there is one; completion = output",
        "  converted         1   dolly's form (instruction, context, response): prompt = instruction, and after an empty "
        "line context where there is one; completion = response; left out: category, index",
    ]
    assert report.to_json()["files"][0]["converted"][0]["num"] == 1
    assert [str(problem) for problem in examined(tokenizer, path, strict=True).problems] == [
        "train.jsonl:2: Alpaca's form (instruction, input, output), which is not Bedrock's. Write {\"prompt\": "
        'instruction, with input on the lines below it, "completion": output}.',
        'train.jsonl:3: instruction and response, where prompt and completion are expected. Write {"prompt": '
        'instruction, "completion": response}.',
    ]


def test_sharegpt_becomes_a_conversation(tmp_path: Path, tokenizer: Tokenizer) -> None:
    turns = [("system", "s"), ("human", "q"), ("gpt", "a"), ("human", "q2"), ("gpt", "a2")]
    told = [{"from": speaker, "value": said} for speaker, said in turns]
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    messages += [{"role": "user", "content": "q2"}, {"role": "assistant", "content": "a2"}]
    path = jsonl(tmp_path / "t.jsonl", {"id": "1", "conversations": told}, {"system": "s", "messages": messages})
    report = examined(tokenizer, path)
    assert not report.problems
    assert report.files[0].duplicates == ((1, 2),)
    (converted,) = report.files[0].converted
    assert (converted.num, converted.left_out) == (1, ("id",))
