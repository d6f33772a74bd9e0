"""`outcrop data text`, `pdf` and `rules` at the command line: records, a card, and what is wrong in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.cli.app import run
from outcrop.documents import markdown, web_page
from outcrop.documents.pdf import pages
from outcrop.documents.reading import read_document
from outcrop.errors import MachineTrouble
from tests.support.pdf_files import PdfFile, Placed, column


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def records(folder: Path) -> list[Any]:
    return [json.loads(line) for path in sorted(folder.glob("[tv]*.jsonl")) for line in path.read_text().splitlines()]


def test_a_folder_of_documents_becomes_chunks_and_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.md").write_text("".join(f"Sentence {n} of file {name} is here. " for n in range(120)))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 no more")
    words = ["data", "text", str(folder), "--out", str(tmp_path / "out"), "--tokens", "100", "--overlap", "20"]
    assert run(words) == 0
    made = records(tmp_path / "out")
    assert len(made) > 20
    assert all(record.keys() == {"input"} and record["input"].startswith("Sentence") for record in made)
    card = (tmp_path / "out/README.md").read_text()
    assert "| base | `outcrop.starter-v1` |\n| tokens | `100` |\n| overlap | `20` |" in card
    assert [json.loads(line)["origin"] for line in (tmp_path / "out/left-out.jsonl").read_text().splitlines()] == [
        "broken.pdf"
    ]
    assert "1: a broken PDF: " in capsys.readouterr().out


def test_no_sentence_of_a_book_is_in_two_parts(tmp_path: Path) -> None:
    pages_of_book = [
        [
            Placed(60, 800, "THE BOOK", 9),
            *column(60, 740, [f"Page {n} tells of thing {n} {line}." for line in "abcdefgh"]),
        ]
        for n in range(1, 40)
    ]
    PdfFile(pages_of_book).write(tmp_path / "book.pdf")
    assert run(["data", "pdf", "book.pdf", "--out", "out", "--tokens", "200", "--validation", "20%"]) == 0
    parts = [
        {
            line
            for record in (tmp_path / f"out/{part}.jsonl").read_text().splitlines()
            for line in json.loads(record)["input"].split(". ")
        }
        for part in ("train", "validation")
    ]
    assert all(parts)
    assert parts[0].isdisjoint(parts[1])
    assert not any("THE BOOK" in line for part in parts for line in part)


def test_a_sentence_that_was_cut_is_on_the_card(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"word{n}, " for n in range(400)))
    assert run(["data", "text", "a.txt", "--out", "out", "--tokens", "64"]) == 0
    assert (
        "| a sentence longer than a chunk was cut at a clause or a word |" in (tmp_path / "out/README.md").read_text()
    )


def test_questions_on_rules_become_pairs(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(
        "".join(f"Rule {n}. Title {n}\n\nMembers pay {n} dollars.\n\n" for n in range(1, 30))
    )
    rows = "".join(f"How much under rule {n}?,{n} dollars.,Rule {n}\n" for n in range(1, 31))
    (tmp_path / "q.csv").write_text("question,answer,rule\n" + rows)
    assert run(["data", "rules", "book.txt", "--questions", "q.csv", "--out", "out"]) == 0
    made = records(tmp_path / "out")
    assert len(made) == 29
    assert {
        "prompt": "Rule 7. Title 7\n\nMembers pay 7 dollars.\n\nHow much under rule 7?",
        "completion": "7 dollars.",
    } in made
    assert run(["data", "rules", "book.txt", "--questions", "q.csv", "--no-passages", "--out", "alone"]) == 0
    assert {"prompt": "How much under rule 7?", "completion": "7 dollars."} in records(tmp_path / "alone")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["text", "a.txt", "--tokens", "5"],
            "--tokens: 5 is not between 16 and 2,048, the context of outcrop.starter-v1.",
        ),
        (
            ["text", "a.txt", "--tokens", "64", "--overlap", "50"],
            "--overlap: 50 is not between 0 and 32, half a chunk.",
        ),
        (["text", "a.txt", "--base", "nobody.v1"], "nobody.v1"),
        (["text", "b.txt"], "b.txt: no such file."),
        (["text", "docs"], "docs: a folder without a file that ends in .txt or .md"),
        (["text", "bad.txt"], "text: nothing is left of 1 items: 1 × binary data, not text."),
        (["pdf", "a.txt"], "pdf: nothing is left of 1 items: 1 × no PDF. The recipe text reads other documents."),
        (["rules", "a.txt"], "rules: nothing is left of 1 items: 1 × text before the first numbered rule."),
        (["rules", "a.txt", "--questions", "no.csv"], "no.csv: no such file."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    (tmp_path / "a.txt").write_text("A text. It has no number.")
    (tmp_path / "bad.txt").write_bytes(b"a\0b")
    (tmp_path / "docs").mkdir()
    assert run(["data", *words, "--out", "out"]) != 0
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "room", "sentence"),
    [
        ("a.pdf", pages, "PDF is read by pypdfium2, which is not installed. Install it: pip install 'outcrop[data]'"),
        (
            "a.html",
            web_page,
            "HTML is read by selectolax, which is not installed. Install it: pip install 'outcrop[data]'",
        ),
        (
            "a.md",
            markdown,
            "Markdown is read by markdown-it-py, which is not installed. Install it: pip install 'outcrop[data]'",
        ),
    ],
)
def test_a_library_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, room: Any, sentence: str
) -> None:
    monkeypatch.setattr(room, "find_spec", lambda _: None)
    (tmp_path / name).write_bytes(b"%PDF-1.4" if name == "a.pdf" else b"<html><p>text" if name == "a.html" else b"text")
    with pytest.raises(MachineTrouble) as refusal:
        list(read_document(tmp_path / name))
    assert str(refusal.value) == sentence
