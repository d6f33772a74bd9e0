"""PDFs that would end, hold up or fill the process that reads them: the caller goes on, and says so in a sentence."""

import signal
import sys
from pathlib import Path

import pytest

from outcrop.documents.pdf.reading import read_pdf
from outcrop.documents.section import BadDocument, Section, Unread
from tests.support.pdf_files import PdfFile, column

PROGRAM = """#!{python}
import sys, os, json, signal
engine, name, first, last = sys.argv[-4:]
print(json.dumps({{"pages": 3, "outline": []}}), flush=True)
for number in range(int(first), (int(last) or 3) + 1):
    if number == 2 and engine in {dying}:
        {death}
    line = [f"page {{number}} by {{engine}}", 0, 0, 100, 10, 0, 10, 1]
    print(json.dumps({{"page": number, "lines": [line], "picture": False}}), flush=True)
"""


def reader_that(monkeypatch: pytest.MonkeyPatch, folder: Path, death: str, *, dying: tuple[str, ...]) -> None:
    """Let a program stand in for the reading process, which ends on page 2."""
    program = folder / "python"
    program.write_text(PROGRAM.format(python=sys.executable, death=death, dying=dying))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def read(path: Path) -> list[str]:
    return [part.text.strip() if isinstance(part, Section) else part.reason for part in read_pdf(path)]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return PdfFile([column(60, 740, ["text"])] * 3).write(tmp_path / "book.pdf")


def test_what_ends_pdfium_is_read_by_pypdf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, book: Path) -> None:
    reader_that(monkeypatch, tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)", dying=("pdfium",))
    assert read(book) == ["page 1 by pdfium", "page 2 by pypdf", "page 3 by pdfium"]


def test_a_page_that_ends_both_is_told_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, book: Path
) -> None:
    reader_that(monkeypatch, tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)", dying=("pdfium", "pypdf"))
    assert [part for part in read_pdf(book) if isinstance(part, Unread)] == [
        Unread(document="book.pdf", place="page 2", reason=f"its reader ended with signal {int(signal.SIGSEGV)}")
    ]


def test_a_page_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, book: Path) -> None:
    death = "signal.setitimer(signal.ITIMER_PROF, 0.05)\n        while True: pass"
    reader_that(monkeypatch, tmp_path, death, dying=("pdfium", "pypdf"))
    assert "it takes more than 10 s of processor time" in read(book)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.4\nnothing of a PDF follows", "b.pdf: a broken PDF: "),
        (PdfFile([column(60, 740, ["text"])]).to_bytes()[:400], "b.pdf: a broken PDF: "),
    ],
)
def test_a_broken_file_is_told_in_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "b.pdf"
    path.write_bytes(content)
    with pytest.raises(BadDocument) as refusal:
        list(read_pdf(path))
    assert str(refusal.value).startswith(message)
    assert str(refusal.value).endswith("Write it anew with a PDF program.")


def test_a_file_whose_table_of_places_is_lost_is_read_all_the_same(tmp_path: Path) -> None:
    content = PdfFile([column(60, 740, ["This text was found."])]).to_bytes()
    path = tmp_path / "b.pdf"
    path.write_bytes(content.replace(b"startxref\n", b"startxref\n9"))
    assert read(path) == ["This text was found."]
