"""A foundation model as the catalogue knows it: names, weights, dialect and hyperparameters. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from outcrop.catalog.remote_model import RemoteModel
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.network.weight_precision import WeightPrecision


class Customization(StrEnum):
    """Bedrock's customization types that this house trains."""

    FINE_TUNING = "FINE_TUNING"
    CONTINUED_PRE_TRAINING = "CONTINUED_PRE_TRAINING"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where an entry's weights come from; exactly one is set, or none."""

    bundled: str | None = None
    directory: str | None = None
    hub: str | None = None
    alias: str | None = None


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A base model of the catalogue. `folder` is where the weights are on this machine, None until they are there."""

    id: str
    context: str
    "Suffix of the context length, such as 4k; empty for a remote model, which is named without."
    name: str
    provider: str
    context_length: int
    "0: not known here, of a remote model."
    dialect: str = "any"
    hyperparameters: str = "outcrop"
    licence: str = ""
    languages: tuple[str, ...] = ()
    "ISO 639 codes of the languages that it was made for, as its maker says; `mul`: of many."
    parameters: int = 0
    "About how many numbers its network has, for an entry whose weights are not here; 0: that is not known."
    pull_bytes: int = 0
    "About how many bytes `outcrop pull` downloads; 0: that is not known."
    customizations: tuple[Customization, ...] = tuple(Customization)
    learning_rate: float | None = None
    weights: Weights = field(default_factory=Weights)
    folder: Path | None = None
    engine: str = ""
    "Id of the entry whose weights are used: its own, or the one it is an alias of."
    verdict: ProbeVerdict | None = None
    "What the probe found of its network; None: it was not tried, or the folder's config.json has changed since."
    notes: str = ""
    "Where its weights come from, and what they had lost before, where that is known."
    owner: str | None = None
    "Id of the custom model that `folder` is the own network of; None: it holds the foundation model's."
    task: ModelTask = ModelTask.TEXT
    "What it answers with: text, vectors or relevance."
    engine_task: ModelTask = ModelTask.TEXT
    "What the network behind it answers with: text, where a text model stands in for an embedding model."
    prompts: Mapping[str, str] = field(default_factory=dict, hash=False)
    "Words before a text of each kind, by name (query, document); an embedding model was trained behind them."
    default_prompt: str | None = None
    "Name of the prompt for a text of no kind."
    precision: WeightPrecision = WeightPrecision.FP32
    "The numbers in which its engine keeps the weights."
    remote: RemoteModel | None = None
    "Where it is, if it is not on this machine; such a one is invoked, and nothing else."

    def in_precision(self, precision: WeightPrecision) -> Self:
        """The model as an engine of its own serves it, from weights in these numbers."""
        if precision is self.precision:
            return self
        return replace(self, precision=precision, engine=f"{entry_of(self.engine)}{_suffix(precision)}")

    @property
    def stands_in(self) -> bool:
        """Whether a text model's hidden states stand in for the vectors of an embedding model."""
        return self.task is ModelTask.EMBEDDING and self.engine_task is ModelTask.TEXT and self.folder is not None

    @property
    def way(self) -> RunMode | None:
        """The mode in which the base model's network is run; None: that is not known yet."""
        return self.verdict.way if self.verdict else None

    @property
    def told_context(self) -> int | None:
        """The context length, where the network's own configuration does not name one."""
        assert self.folder is not None, "only entries with weights are run"
        return None if facts.read(self.folder).has_context else self.context_length

    @property
    def full_id(self) -> str:
        """The form with version and context suffix, under which it is customized and provisioned."""
        versioned = self.id if ":" in self.id else f"{self.id}:0"
        return f"{versioned}:{self.context}"

    @property
    def names(self) -> tuple[str, ...]:
        """Every identifier it answers to: without version, with it, with version and context."""
        plain = self.id.split(":")[0]
        versioned = self.id if ":" in self.id else f"{plain}:0"
        return (plain, versioned) if self.remote is not None else (plain, versioned, self.full_id)


def entry_of(engine: str) -> str:
    """Id of the catalogue entry whose network the engine of this name has."""
    return engine.partition("@")[0].removesuffix(_suffix(WeightPrecision.INT8))


def _suffix(precision: WeightPrecision) -> str:
    return "" if precision is WeightPrecision.FP32 else f"+{precision}"
