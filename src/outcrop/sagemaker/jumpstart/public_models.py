"""The foundation models that the public hub shows: those of the catalogue that write text and have their weights here.

A model's name is a JumpStart id: `qwen.qwen3-0-6b-v1` of the catalogue is `qwen-textgeneration-qwen3-0-6b-v1`, so that
filters of the SDK find provider and task in it. An id without a provider, such as an alias that is a JumpStart id
already, stays as it is. The version is the minute in which the newest of the model's files was written.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.model_files import files_of
from outcrop.customization import memory
from outcrop.errors import Refusal
from outcrop.network.model_task import ModelTask

TASK = "textgeneration"
_LONGEST_NAME = 63
_log = logging.getLogger("outcrop.hub")


@dataclass(frozen=True, kw_only=True)
class PublicModel:
    """A foundation model as the public hub shows it."""

    name: str
    base: BaseModel
    files: Mapping[str, Path]
    "By the name that each has below the model's prefix."
    state: tuple[tuple[str, int, int], ...]
    "Name, size and time of each file: equal states are equal files."
    modified: datetime
    "When the newest of its files was written."
    learning_rate: float
    "That suits LoRA on it."

    @property
    def version(self) -> str:
        """A higher number for newer files, in the three parts of at most four digits that hubs have."""
        at = self.modified
        return f"{at.year}.{100 * at.month + at.day}.{100 * at.hour + at.minute}"


def public_models(catalog: Catalog) -> list[PublicModel]:
    """Every model that is shown, in the order of the catalogue. One with damaged files is left out, and logged."""
    return list(_distinct(model for entry in catalog.ready() if (model := _shown(entry)) is not None))


def name_of(model_id: str) -> str:
    """The name in the hub of a model of the catalogue."""
    provider, dot, rest = model_id.split(":")[0].partition(".")
    text = f"{provider}-{TASK}-{rest}" if dot else provider
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[:54].rstrip('-')}-{_digest(model_id)}"


def _shown(entry: BaseModel) -> PublicModel | None:
    """None for a model that does not write text, or whose network is not run here."""
    if entry.engine_task is not ModelTask.TEXT or entry.task is not ModelTask.TEXT or entry.folder is None:
        return None
    if entry.verdict is not None and entry.verdict.way is None:
        return None
    try:
        files = files_of(entry.folder)
        states = {name: path.stat() for name, path in files.items()}
        rate = memory.suitable_rate(entry, None)
    except (Refusal, OSError) as error:
        logs.tell(_log, "left out of the hub", level=logging.WARNING, model=entry.id, note=str(error))
        return None
    if not any(name.endswith(".safetensors") for name in files):
        return None
    return PublicModel(
        name=name_of(entry.id),
        base=entry,
        files=files,
        state=tuple((name, state.st_size, state.st_mtime_ns) for name, state in states.items()),
        modified=datetime.fromtimestamp(max(state.st_mtime for state in states.values()), UTC),
        learning_rate=rate,
    )


def _distinct(models: Iterator[PublicModel]) -> Iterator[PublicModel]:
    """The models under distinct names: where ids become the same one, the later gets a digest behind it."""
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            name = f"{model.name[:54].rstrip('-')}-{_digest(model.base.id)}"
            model = PublicModel(**{**vars(model), "name": name})
        seen.add(model.name)
        yield model


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
