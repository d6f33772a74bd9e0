"""Imported models on record: whole networks that came from a bucket, invoked by their own ARN. Files first, row "
"last."""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.clock import Clock
from outcrop.errors import ModelDamaged
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "imported-model"
ACTIVE = "Active"
_UNITS = ((4e9, 1), (16e9, 2), (40e9, 4))
"Custom model units of a copy, by the number of weights it has at most; a larger one has eight."
UNITS_VERSION = "v1.0"


class ImportedModels:
    """The imported models of an installation."""

    def __init__(self, store: Store, clock: Clock, folder: Path) -> None:
        self._resources = store.resources
        self._tags = store.tags
        self._transaction = store.transaction
        self._clock = clock
        self._folder = folder

    def folder(self, model_arn: str) -> Path:
        """Where the files of an imported model lie, or will."""
        return self._folder / f"imported-{model_arn.rsplit('/', 1)[-1]}"

    def is_taken(self, region: str, name: str) -> bool:
        return self._resources.find(KIND, region, name) is not None

    def add(self, *, model_arn: str, name: str, region: str, created: datetime, document: Mapping[str, Any]) -> None:
        """Raises NameTaken."""
        row = Resource(
            arn=model_arn,
            kind=KIND,
            region=region,
            name=name,
            status=ACTIVE,
            created=created,
            updated=self._clock.now(),
            document=dict(document),
        )
        self._resources.add(row)

    def network(self, model: Resource) -> BaseModel:
        """The model as an engine runs it. Raises ModelDamaged where its files are gone."""
        folder = self.folder(model.arn)
        if not (folder / "config.json").is_file():
            raise ModelDamaged(
                f"The files of the imported model {model.arn} are damaged: config.json is not there. Restore its "
                "folder from a backup, or import the model again."
            )
        with understood(model.arn):
            document = model.document
            length, way = int(document["contextLength"]), RunMode(document["way"])
            return BaseModel(
                id=str(model.name),
                context=f"{max(1, length // 1024)}k",
                name=str(model.name),
                provider="Imported",
                context_length=length,
                folder=folder,
                engine=engine_of(model.arn),
                verdict=ProbeVerdict(way=way, config=str(document["config"])),
            )

    def remove(self, model: Resource) -> None:
        """Forget the row and its tags, and remove the files; a crash between leaves garbage, never a lie."""
        with self._transaction():
            self._resources.remove(model.arn)
            self._tags.clear(model.arn)
        shutil.rmtree(self.folder(model.arn), ignore_errors=True)


def engine_of(model_arn: str) -> str:
    """The name of the engine that an imported model is run by."""
    return f"{KIND}-{model_arn.rsplit('/', 1)[-1]}"


def new_arn(region: str, account: str) -> str:
    return arn.bedrock(region, account, f"{KIND}/{arn.new_id()}")


def units_of(num_weights: int) -> int:
    """Custom model units that one copy of a model takes."""
    return next((units for most, units in _UNITS if num_weights <= most), 8)
