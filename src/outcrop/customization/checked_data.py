"""Datasets that were checked in this home, each with its report, so that the same bytes are not checked twice.

A report is that of certain files for a certain base model, customization, prompt format and program. A file in
`checked/` of the home holds each; its name is a digest of all of these. A job always reads its data, for it must encode
it; what it found is kept here too, and `check-data` tells it from here.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.customization.output.checkpoints import digest_of
from outcrop.settings import Settings
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_FOLDER = "checked"
_FORM = 1
"Of these files; raised when reports come to say something else of the same data."
_MOST = 500
_OF_THE_BASE = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_log = logging.getLogger("outcrop.data")


@dataclass(frozen=True, kw_only=True)
class CheckedFor:
    """All that a report depends on. Equal values have equal reports."""

    files: tuple[str, ...]
    "SHA-256 of each, the training data first."
    base: str
    base_files: str
    "SHA-256 of what the base model's encoding depends on."
    context_length: int
    customization: str
    prompt_format: str
    prompt_day: str | None
    "Where the chat template writes one."
    program: str

    @property
    def digest(self) -> str:
        told = json.dumps({"form": _FORM, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class CheckedData:
    """A dataset with its report."""

    digest: str
    checked: datetime
    by: str
    "`check-data`, or the ARN of a job."
    names: tuple[str, ...]
    checked_for: CheckedFor
    report: dict[str, Any]
    text: str

    @property
    def is_ready(self) -> bool:
        """Whether a job would take the data."""
        return bool(self.report["ready"])


def checked_for(
    files: Sequence[str], base: BaseModel, tokenizer: Tokenizer, *, customization: str, prompt_format: PromptFormat
) -> CheckedFor:
    """All that a report on files of these digests depends on."""
    assert base.folder is not None
    sizes = hashlib.sha256()
    for name in _OF_THE_BASE:
        path = base.folder / name
        sizes.update(f"{name}:{digest_of(path) if path.is_file() else ''}\n".encode())
    day = prompt_format.today
    is_dated = tokenizer.chat_template is not None and tokenizer.chat_template.writes_the_day
    return CheckedFor(
        files=tuple(files),
        base=base.id,
        base_files=sizes.hexdigest(),
        context_length=base.context_length,
        customization=customization,
        prompt_format=prompt_format.value,
        prompt_day=day.date().isoformat() if is_dated and day is not None else None,
        program=f"outcrop {version('outcrop')}, tokenizers {version('tokenizers')}",
    )


class CheckedDatasets:
    """The datasets of a home that were checked."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / _FOLDER

    def find(self, wanted: CheckedFor) -> CheckedData | None:
        """The report on just these, if it is here."""
        return _read(self._folder / f"{wanted.digest}.json")

    def all(self) -> list[CheckedData]:
        """Every one that can be read, newest first."""
        found = [each for path in self._folder.glob("*.json") if (each := _read(path)) is not None]
        return sorted(found, key=lambda each: (each.checked, each.digest), reverse=True)

    def keep(self, data: CheckedData) -> None:
        """Keep a report; the oldest goes where there are too many. A disk that does not take it is told to the log."""
        try:
            self._folder.mkdir(exist_ok=True)
            descriptor, making = tempfile.mkstemp(prefix=".", dir=self._folder)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                told = {**asdict(data), "checked": data.checked.isoformat()}
                json.dump(told, file, ensure_ascii=False)
            os.utime(making, (data.checked.timestamp(),) * 2)
            Path(making).replace(self._folder / f"{data.digest}.json")
        except OSError as error:  # a job, or an answer on the screen, does not fail over this
            logs.tell(_log, "the report was not kept", level=logging.WARNING, note=str(error))
            return
        by_age = sorted(self._folder.glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
        for old in by_age[_MOST:]:
            old.unlink(missing_ok=True)

    def remove(self, digest: str) -> None:
        """Forget a report; nothing happens where it is not there."""
        (self._folder / f"{digest}.json").unlink(missing_ok=True)


def _read(path: Path) -> CheckedData | None:
    """None for what is not there, or was written by another version: it is checked anew."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(path.read_text("utf-8"))
        about = told["checked_for"]
        return CheckedData(
            **{
                **told,
                "checked": datetime.fromisoformat(told["checked"]),
                "names": tuple(told["names"]),
                "checked_for": CheckedFor(**{**about, "files": tuple(about["files"])}),
            }
        )
    return None
