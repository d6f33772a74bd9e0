"""A model's files on this machine, made ready to serve, and the way in which it is served.

One folder for each model, in the home's `models`; `hosted.json` in it is written last, so that what a crash leaves is
made anew.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.errors import ModelDamaged
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.settings import Settings

_FILE = "hosted.json"
PREFIX = "hosted-"


class ServedAs(StrEnum):
    """The part of this installation that serves a model."""

    PROGRAM = "program"
    "The user's own code, in a sandbox."
    NETWORK = "network"
    "An engine with the model's own network."
    ADAPTER = "adapter"
    "An engine with the network of a base of the catalogue, and the model's adapter on it."
    CATALOGUE = "catalogue"
    "An engine with a model of the catalogue."


@dataclass(frozen=True, kw_only=True)
class HostedModel:
    """The way in which a model is served."""

    by: ServedAs
    image_family: str
    answers_in_full: bool = False
    "Whether generated text comes with its prompt before it, as Hugging Face's pipeline gives it."
    python: str | None = None
    "The interpreter that its environment is made over, of a program."
    num_bytes: int = 0
    "Of the model's files, of a program."
    base: str | None = None
    "Id of the catalogue's entry, of a model of the catalogue, or with an adapter on one."
    model_arn: str | None = None
    "The name of the adapter in its engine."
    form: dict[str, Any] | None = None
    "The form in which the adapter is spoken to, as custom models keep theirs."
    network: dict[str, Any] | None = None
    "Context length, way and digest of the configuration, of a network of its own."

    def write(self, folder: Path) -> None:
        new = folder / f"{_FILE}.new"
        new.write_text(json.dumps(asdict(self)), "utf-8")
        new.replace(folder / _FILE)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None where the folder was not made ready, or not to the end."""
        try:
            told = json.loads((folder / _FILE).read_text("utf-8"))
            return cls(**{**told, "by": ServedAs(told["by"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            return None  # damaged: it says nothing that cannot be made anew


def folder_of(settings: Settings, key: str) -> Path:
    """The folder of a model with this key."""
    return settings.models / f"{PREFIX}{key}"


def files_of(folder: Path) -> Path:
    """/opt/ml/model: the artifact, unpacked."""
    return folder / "model"


def installed_of(folder: Path) -> Path:
    """Where the requirements of the model's code are installed, a folder as of a job."""
    return folder / "installed"


def root_of(files: Path) -> Path:
    """The folder of an artifact that holds a network or an adapter: the outermost one; else the artifact's own."""
    found = [path for name in ("config.json", "adapter_config.json") for path in files.glob(f"**/{name}")]
    return min((path.parent for path in found), key=lambda path: (len(path.parts), path), default=files)


def network_of(
    hosted: HostedModel, key: str, name: str, settings: Settings, catalog: Catalog, models: CustomModels
) -> BaseModel:
    """The network that an engine serves the model with. Raises Refusal where it is not there any more."""
    if hosted.by is ServedAs.NETWORK:
        folder = root_of(files_of(folder_of(settings, key)))
        if hosted.network is None or not (folder / "config.json").is_file():
            raise ModelDamaged(f"The files of the model {name} are not there any more. Create the endpoint anew.")
        length = int(hosted.network["contextLength"])
        return BaseModel(
            id=name,
            context=f"{max(1, length // 1024)}k",
            name=name,
            provider="Hosted",
            context_length=length,
            folder=folder,
            engine=f"{PREFIX}{key}",
            verdict=ProbeVerdict(way=RunMode(hosted.network["way"]), config=str(hosted.network["config"])),
        )
    assert hosted.base is not None, "everything else stands on an entry of the catalogue"
    base = catalog.usable(hosted.base)
    return base if hosted.model_arn is None else models.network_below(base, hosted.model_arn)
