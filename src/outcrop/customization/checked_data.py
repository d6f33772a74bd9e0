"""Datasets that were checked in this home, each with its report, so that the same bytes are not checked twice.

A report is that of certain files for a certain base model, customization, prompt format and program. A file in
`checked/` of the home holds each; its name is a digest of all of these. A job always reads its data, for it must encode
it; what it found is kept here too, and `check-data` tells it from here, but for a page, which shows records. What a
run would take is not kept: it is foreseen anew for the machine as it is.
"""

import contextlib
import gzip
import hashlib
import json
import logging
import os
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.customization.output.checkpoints import digest_of
from outcrop.datasets.dataset import Dataset
from outcrop.datasets.report.value import Gap, Report, TokenPiece
from outcrop.settings import Settings
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from cattrs.preconf.json import JsonConverter

_FOLDER, _SUFFIX = "checked", ".json.gz"
_FORM = 3
"Of these files; raised when reports come to say something else of the same data."
_MOST = 500
_OF_THE_BASE = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_EXTRAS = ("py3langid", "pyarrow", "rensa")
"Libraries without which a report says less."
_log = logging.getLogger("outcrop.data")


@dataclass(frozen=True, kw_only=True)
class CheckedFor:
    """All that a report depends on. Equal values have equal reports."""

    sha256: tuple[str, ...]
    "Of each dataset, the training data first."
    names: tuple[str, ...]
    "Of their files: problems name them."
    base: str
    base_files: str
    "SHA-256 of what the base model's encoding depends on."
    context_length: int
    customization: str
    prompt_format: str
    prompt_day: str | None
    "Where the chat template writes one."
    strict: bool
    program: str

    @property
    def digest(self) -> str:
        told = json.dumps([_FORM, _converter().unstructure(self)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class CheckedData:
    """A dataset with its report."""

    checked: datetime
    by: str
    "`check-data`, or the ARN of a job."
    checked_for: CheckedFor
    report: Report

    @property
    def digest(self) -> str:
        return self.checked_for.digest


def checked_for(
    data: Sequence[Dataset],
    sha256: Sequence[str],
    base: BaseModel,
    tokenizer: Tokenizer,
    *,
    customization: str,
    prompt_format: PromptFormat,
    strict: bool = False,
) -> CheckedFor:
    """All that a report on this data, of these digests, for this base model depends on."""
    assert base.folder is not None
    files = hashlib.sha256()
    for name in _OF_THE_BASE:
        path = base.folder / name
        files.update(f"{name}:{digest_of(path) if path.is_file() else ''}\n".encode())
    day = prompt_format.today
    is_dated = tokenizer.chat_template is not None and tokenizer.chat_template.writes_the_day
    programs = [f"outcrop {version('outcrop')}", f"tokenizers {version('tokenizers')}"]
    return CheckedFor(
        sha256=tuple(sha256),
        names=tuple(file.name for dataset in data for file in dataset.files),
        base=base.id,
        base_files=files.hexdigest(),
        context_length=base.context_length,
        customization=customization,
        prompt_format=prompt_format.value,
        prompt_day=day.date().isoformat() if is_dated and day is not None else None,
        strict=strict,
        program=", ".join([*programs, *(name for name in _EXTRAS if find_spec(name) is not None)]),
    )


class CheckedDatasets:
    """The datasets of a home that were checked."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / _FOLDER

    def find(self, wanted: CheckedFor) -> CheckedData | None:
        """The report on just these, if it is here."""
        return _read(self._folder / f"{wanted.digest}{_SUFFIX}")

    def all(self) -> list[CheckedData]:
        """Every one that can be read, newest first."""
        found = [each for path in self._folder.glob(f"*{_SUFFIX}") if (each := _read(path)) is not None]
        return sorted(found, key=lambda each: (each.checked, each.digest), reverse=True)

    def keep(self, data: CheckedData) -> None:
        """Keep a report; the oldest goes where there are too many. A disk that does not take it is told to the log."""
        # What records say is not kept: they may have to be forgotten.
        kept = replace(data.report.without_texts(), forecast=None)
        content = _converter().dumps(replace(data, report=kept)).encode()
        try:
            self._folder.mkdir(exist_ok=True)
            descriptor, making = tempfile.mkstemp(prefix=".", dir=self._folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(gzip.compress(content, compresslevel=4, mtime=0))
            os.utime(making, (data.checked.timestamp(),) * 2)
            Path(making).replace(self._folder / f"{data.digest}{_SUFFIX}")
            self._prune()
        except OSError as error:  # a job, or an answer on the screen, does not fail over this
            logs.tell(_log, "the report was not kept", level=logging.WARNING, note=str(error))

    def remove(self, digest: str) -> None:
        """Forget a report; nothing happens where it is not there."""
        (self._folder / f"{digest}{_SUFFIX}").unlink(missing_ok=True)

    def _prune(self) -> None:
        paths = self._folder.glob(f"*{_SUFFIX}")
        by_age = sorted(paths, key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
        for old in by_age[_MOST:]:
            old.unlink(missing_ok=True)


def _read(path: Path) -> CheckedData | None:
    """None for what is not there, or was written by another version: it is checked anew."""
    from cattrs import BaseValidationError

    with contextlib.suppress(OSError, EOFError, ValueError, KeyError, TypeError, BaseValidationError):
        return _converter().loads(gzip.decompress(path.read_bytes()), CheckedData)
    return None


@cache
def _converter() -> "JsonConverter":
    """Values to JSON and back."""
    from cattrs.preconf.json import make_converter  # here: few commands need it

    converter = make_converter()
    converter.register_unstructure_hook(array, array.tolist)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda text, _type: datetime.fromisoformat(text))
    converter.register_structure_hook(TokenPiece | Gap, _piece)
    return converter


def _piece(value: list[Any], _type: object) -> TokenPiece | Gap:
    return Gap(*value) if len(value) == len(Gap._fields) else TokenPiece(*value)
