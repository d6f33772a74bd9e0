"""The console's texts: the same keys in both languages, and all that templates and code ask for."""

import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from outcrop.console.language import LANGUAGES, texts_of
from outcrop.console.pages.policies import SCOPES
from outcrop.console.views.job_request import FIELDS, STEPS
from outcrop.console.views.trail_views import ATTRIBUTES

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
    wanted |= {f"access.attribute.{each}" for each in ATTRIBUTES} | {f"access.scope.{each}" for each in SCOPES}
    wanted |= {f"access.{each}" for each in ("allowed", "explicitDeny", "implicitDeny", "by_boundary")}
    counters = _service_model("sagemaker").shape_for("TrainingJobStatusCounters").members
    wanted |= {f"sagemaker.count.{each}" for each in counters}
    assert wanted - texts_of("en").keys() == set()


@pytest.mark.parametrize("shape", ["TrainingJobStatus", "EndpointStatus", "HyperParameterTuningJobStatus"])
def test_every_status_of_the_service_has_its_word(shape: str) -> None:
    words = _service_model("sagemaker").shape_for(shape).enum
    assert [word for word in words if f"status.{word}" not in texts_of("en")] == []


def _service_model(name: str) -> Any:
    return botocore.session.Session().get_service_model(name)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_script_or_a_style_of_its_own(template: Path) -> None:
    text = template.read_text("utf-8")
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=|javascript:|https?://", text)
