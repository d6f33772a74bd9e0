"""The pages say what is so."""

import re
from pathlib import Path

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
