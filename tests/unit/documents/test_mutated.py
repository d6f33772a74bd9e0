"""Documents that were damaged at random: each gives text or one sentence, and none a traceback."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from outcrop.documents.reading import read_document
from outcrop.documents.section import BadDocument, Section
from tests.support.document_files import docx, dump, epub, paragraph
from tests.support.pdf_files import PdfFile, column

HTML = "<html><body>" + "<div><p>Text <b>of</b> it<ul><li>a<li>b</ul><table><tr><td>x<td>y</table>" * 20


ENDS = {"text", "a sentence", "nothing but reasons"}


def seed_file(folder: Path, suffix: str) -> Path:
    """A good document of a form."""
    path = folder / f"seed{suffix}"
    match suffix:
        case ".docx":
            body = "".join(paragraph(f"Text {n}.", style="Heading1" if n % 5 == 0 else "") for n in range(20))
            return docx(path, f"{body}<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc></w:tr></w:tbl>")
        case ".epub":
            return epub(path, {f"c{n}.xhtml": f"<h1>C{n}</h1><p>Text <b>of</b> it." for n in range(4)})
        case ".pdf":
            return PdfFile([column(60, 740, ["Some text of a page", "that goes on."])] * 2).write(path)
    content = {
        ".html": HTML,
        ".xml": dump(*[(f"A{n}", "'''A''' is [[b|c]] {{x|{{y}}}}\n\n== H ==\n* a\n{|\n| t\n|}\n") for n in range(9)]),
        ".md": "# A\n\ntext\n\n```\ncode\n```\n\n- a\n  - b\n> q\n\nB\n===\n" * 9,
        ".jsonl": '{"text": "One. Two.", "title": "x"}\n' * 20,
    }[suffix]
    path.write_text(content)
    return path


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with some bytes changed, lost, doubled, or numbers in it made large."""
    made = bytearray(content)
    for _ in range(chance.choice([1, 1, 3, 10, 50])):
        at = chance.randrange(len(made) or 1)
        match chance.randrange(6):
            case 0:
                made[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del made[at : at + chance.randrange(1, 200)]
            case 2:
                made[at:at] = made[at : at + chance.randrange(1, 300)]
            case 3:
                made[at : at + 4] = chance.randbytes(4)
            case 4 if numbers := list(re.finditer(rb"\d+", bytes(made))):
                found = chance.choice(numbers)
                made[found.start() : found.end()] = str(chance.choice([0, -1, 1, 2**31, 2**63, 99_999_999])).encode()
            case 5 if chance.random() < 0.2:
                del made[at:]
    return bytes(made) or b"x"


def campaign(folder: Path, suffix: str, num: int) -> Counter[str]:
    """Ends of so many damaged documents of one form, counted: text, a sentence, or whatever else was said."""
    chance = random.Random(f"{suffix} {num}")
    seed = seed_file(folder, suffix).read_bytes()
    ends: Counter[str] = Counter()
    for number in range(num):
        path = folder / f"{number}{suffix}"
        path.write_bytes(damaged(seed, chance))
        try:
            parts = list(read_document(path))
        except BadDocument as problem:
            said = problem.message
            is_sentence = said.startswith(path.name) and "\n" not in said and len(said) < 330
            ends["a sentence" if is_sentence else said] += 1
        else:
            ends["text" if any(isinstance(part, Section) for part in parts) else "nothing but reasons"] += 1
    return ends


@pytest.mark.parametrize("suffix", [".docx", ".epub", ".html", ".xml", ".md", ".jsonl"])
def test_a_damaged_document_gives_text_or_a_sentence(tmp_path: Path, suffix: str) -> None:
    ends = campaign(tmp_path, suffix, 100)
    assert ends.total() == 100
    assert ends["text"] > 0
    assert ends.keys() <= ENDS


def test_a_damaged_pdf_gives_text_or_a_sentence(tmp_path: Path) -> None:
    assert campaign(tmp_path, ".pdf", 4).keys() <= ENDS


@pytest.mark.soak
def test_a_hundred_damaged_pdfs_give_text_or_a_sentence(tmp_path: Path) -> None:
    assert campaign(tmp_path, ".pdf", 100).keys() <= ENDS
