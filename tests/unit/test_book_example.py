"""The example of a book: a PDF that a reader of PDFs reads, and a key that the book bears out."""

import importlib
import tomllib
from pathlib import Path

import pytest

from outcrop.documents.pdf.reading import read_pdf
from outcrop.documents.section import Section
from tests.support.sample_data import sample

# By name: for the type checker, which reads examples as programs, they are modules of another path.
book, pdf_book, services = (
    importlib.import_module(f"examples.book.{name}") for name in ("book", "pdf_book", "services")
)
BOTCHAN = "botchan-en/botchan.first85pct.txt"


def test_what_is_printed_is_read_again(tmp_path: Path) -> None:
    prose = " ".join(sample(BOTCHAN).read_text("utf-8").splitlines()[106 : 106 + 2 * pdf_book.LINES])
    assert pdf_book.write_pdf(prose, "A Book", tmp_path / "book.pdf") == 3
    sections = [each for each in read_pdf(tmp_path / "book.pdf") if isinstance(each, Section)]
    assert [section.page for section in sections] == [1, 2, 3]
    read = " ".join(" ".join(section.text for section in sections).split())
    assert letters(read) == letters(prose), "neither head nor page number, and no word lost"


def letters(text: str) -> str:
    """Without blanks and hyphens, which the ends of lines may change."""
    return "".join(each for each in text if each.isalnum())


def test_the_book_bears_out_the_key() -> None:
    text = " ".join(sample(BOTCHAN).read_text("utf-8").split()).casefold()
    for question in tomllib.loads(book.QUESTIONS.read_text("utf-8"))["questions"]:
        assert any(words.casefold() in text for words in question["answers"]), question


def test_a_pdf_is_taken_as_it_is(tmp_path: Path) -> None:
    assert book.as_pdf(tmp_path / "book.PDF", tmp_path) == tmp_path / "book.PDF"


def test_a_letter_that_no_pdf_font_has_ends_the_program_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="a letter is not in the fonts of every PDF reader"):
        pdf_book.write_pdf("坊っちゃん", "Botchan", tmp_path / "book.pdf")


def test_an_answer_counts_where_the_word_stands_in_it() -> None:
    question = {"question": "Who?", "answers": ["Kiyo"]}
    right, wrong = (
        services.BookAnswer(text="It was kiyo.", seconds=1.0, supported=1.0),
        services.BookAnswer(text="Nobody.", seconds=3.0),
    )
    assert (book.is_right(right, question), book.is_right(wrong, question)) == (True, False)
    assert book.table({"base": [right, wrong]}, [question] * 2).splitlines()[-1] == "| base | 1 of 2 | 100% | 2.0 |"
    assert book.table({"base": [wrong]}, [question]).splitlines()[-1] == "| base | 0 of 1 | – | 3.0 |"
