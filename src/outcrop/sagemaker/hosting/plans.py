"""Plans of endpoints: what is to serve, or does. Values, kept in an endpoint's record as JSON.

A fleet is some copies of one model behind one variant, each a process; where an engine of this installation serves the
model, the copies are of the record only, for one engine answers all requests together. A fleet keeps its id while the
number of its copies changes.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from outcrop.sagemaker.hosting.containers import ModelContainer

STARTUP_S = 600
"So long a model may take until it answers, where nothing else is said."
LEAST_MEMORY = 1 << 30


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """Copies of one model."""

    id: str
    model_name: str
    model_arn: str
    model_key: str
    "Of the model's files on this machine: a model that was deleted and made anew is another one."
    container: ModelContainer
    role: str
    isolated: bool
    "Whether it may not ask this installation either."
    num_copies: int
    startup_s: int = STARTUP_S
    memory_bytes: int | None = None
    "The most of each copy; None: what this machine gives."

    @property
    def copies(self) -> list[str]:
        """The names of its programs, as engines have names."""
        return [f"endpoint-{self.id}.{number}" for number in range(self.num_copies)]

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "container": self.container.document()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{**document, "container": ModelContainer.from_document(document["container"])})


@dataclass(frozen=True, kw_only=True)
class VariantPlan:
    """A variant of an endpoint, with its share of the requests."""

    name: str
    weight: float
    instance_type: str | None = None
    max_concurrency: int | None = None
    "The most requests at once, of a serverless variant."
    serverless: dict[str, Any] | None = None
    managed: dict[str, Any] | None = None
    "ManagedInstanceScaling, as it was asked for."
    fleet: FleetPlan | None = None
    "None: inference components bring the models."

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "fleet": self.fleet and self.fleet.document()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        fleet = document["fleet"]
        return cls(**{**document, "fleet": fleet and FleetPlan.from_document(fleet)})


@dataclass(frozen=True, kw_only=True)
class EndpointPlan:
    """Everything that an endpoint serves, or is to serve."""

    config_name: str
    variants: tuple[VariantPlan, ...]
    capture: dict[str, Any] | None = None
    asynchronous: dict[str, Any] | None = None

    @property
    def fleets(self) -> Iterator[FleetPlan]:
        return (variant.fleet for variant in self.variants if variant.fleet is not None)

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "variants": [variant.document() for variant in self.variants]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        variants = tuple(VariantPlan.from_document(each) for each in document["variants"])
        return cls(**{**document, "variants": variants})


def key_of(model_arn: str, created: datetime) -> str:
    """The key of a model's files on this machine."""
    return hashlib.sha256(f"{model_arn} {created.isoformat()}".encode()).hexdigest()[:16]
