"""The pictures of the console in the READMEs: there, small, and of the pages as they are now."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
# By name: for the type checker, which reads examples as programs, it is a module of another path.
walk = importlib.import_module("examples.bedrock_steps.walk")
MEND = (
    "The pages changed since they were pictured. `make screenshots` pictures them again; look at them, and commit them."
)


def test_the_pictures_are_of_the_pages_as_they_are() -> None:
    assert (walk.PICTURES / walk.MADE_OF).read_text() == walk.made_of(), MEND


@pytest.mark.parametrize(("document", "language"), [("README.md", "en"), ("README.ja.md", "ja")])
def test_the_readmes_show_three_pictures_in_their_own_language(document: str, language: str) -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", (ROOT / document).read_text())
    assert len(shown) == 3
    assert all(f"/pictures/{language}/" in place and (ROOT / place).is_file() for place in shown)


@pytest.mark.parametrize(("document", "language"), [("README.md", "en"), ("README.ja.md", "ja")])
def test_the_example_shows_every_picture_of_its_language(document: str, language: str) -> None:
    shown = re.findall(r"\((pictures/[^)]+)\)", (walk.HERE / document).read_text())
    kept = sorted(path.relative_to(walk.HERE).as_posix() for path in (walk.PICTURES / language).glob("*.png"))
    assert shown == kept


def test_pictures_are_small() -> None:
    sizes = [path.stat().st_size for path in walk.PICTURES.rglob("*.png")]
    assert max(sizes) < 120_000
    assert sum(sizes) < 1_500_000
