"""The console's texts: the same keys in both languages, and all that templates and code ask for."""

import re
from pathlib import Path

import pytest

from outcrop.console.language import LANGUAGES, texts_of
from outcrop.console.views.job_request import FIELDS, STEPS

CONSOLE = Path(__file__).parent.parent.parent.parent / "src" / "outcrop" / "console"
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))
_ASKED = re.compile(r'\bt\("([a-zA-Z_.]+[a-zA-Z_])"')
_PLACE = re.compile(r"\{(\w+)\}")


def test_every_language_has_the_same_keys_and_places() -> None:
    english = texts_of("en")
    for language in LANGUAGES:
        told = texts_of(language)
        assert told.keys() == english.keys()
        assert all(text.strip() for text in told.values())
        for key, text in told.items():
            assert sorted(_PLACE.findall(text)) == sorted(_PLACE.findall(english[key])), (language, key)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_text_that_a_template_asks_for_is_there(template: Path) -> None:
    missing = {key for key in _ASKED.findall(template.read_text("utf-8")) if key not in texts_of("en")}
    assert missing == set()


def test_every_field_and_step_of_the_wizard_has_its_sentence() -> None:
    wanted = {f"{field.key}.{part}" for field in FIELDS for part in ("name", "means")}
    wanted |= {f"customize.{step}" for step in STEPS} | {f"customize.{step}_lead" for step in STEPS}
    assert wanted - texts_of("en").keys() == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_script_or_a_style_of_its_own(template: Path) -> None:
    text = template.read_text("utf-8")
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=|javascript:|https?://", text)
