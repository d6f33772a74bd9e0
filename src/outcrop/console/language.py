"""The console's texts in its languages, from one table a language (`texts/*.toml`)."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "ja": "日本語"}
_FOLDER = Path(__file__).parent / "texts"


@cache
def texts_of(language: str) -> Mapping[str, str]:
    """Every text of a language by its key: `jobs.stop`."""
    return dict(_flat("", tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))))


def said(language: str, key: str, /, **values: Any) -> str:
    """The text of a key, with its values in their places."""
    text = texts_of(language)[key]
    return text.format(**values) if values else text


def preferred(accepted: str) -> str:
    """The first of our languages that an Accept-Language header names."""
    for part in accepted.split(","):
        language = part.split(";")[0].strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


def _flat(beginning: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        found += _flat(f"{beginning}{key}.", value) if isinstance(value, dict) else [(f"{beginning}{key}", value)]
    return found
