"""The pages say what is so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.api.operations_page import page
from outcrop.customization.choices import hyperparameters_page

ROOT = Path(__file__).parent.parent


def test_the_operations_page_is_the_code() -> None:
    assert (ROOT / "docs/operations.md").read_text() == page()


def test_the_tables_of_hyperparameters_are_the_code() -> None:
    assert hyperparameters_page.tables() in (ROOT / "docs/training.md").read_text()


def test_every_link_between_pages_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


LEANING = re.compile(
    r"(Of|As|In|With|Who|The same|What|Which|It|They|Those|Them|This|These|That|Both|Each|Others?|One|Such|So|For|To|By"
    r"|From)\b"
)
"Words with which a sentence leans on something before it."
MOST_WORDS = 20


def first_sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The first sentence of every docstring of a file, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            paragraph = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if paragraph:
                yield getattr(node, "lineno", 1), re.split(r"(?<=[.?!])\s", paragraph)[0]


@pytest.mark.parametrize("room", sorted(path.name for path in (ROOT / "src/outcrop").iterdir()))
def test_the_first_sentence_of_a_docstring_stands_alone_and_is_short(room: str) -> None:
    place = ROOT / "src/outcrop" / room
    for path in [place] if place.suffix == ".py" else sorted(place.rglob("*.py")):
        for line, sentence in first_sentences(path):
            assert not LEANING.match(sentence), f"{path}:{line}: name the thing first: {sentence}"
            assert len(sentence.split()) <= MOST_WORDS, f"{path}:{line}: over {MOST_WORDS} words: {sentence}"
