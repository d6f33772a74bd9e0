"""The plan of a bake-off: approaches on four axes, and what every cell of their product shares.

A plan is data, read from TOML by `plan_reading.py`. Its cells are the product of prompts, retrievals, customizations
and models, less what `leave_out` names.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PLAIN = "none"
"The name of an axis's approach where the plan names none: nothing retrieved, nothing customized, a bare question."
AXES = ("prompt", "retrieval", "customization", "model")


class CostKind(StrEnum):
    """The figure by which approaches are dear or cheap."""

    PRICE = "price"
    "By the price list."
    TOKENS = "tokens"
    "Read and written; a token that is trained on counts three, for its forward and backward pass."
    SECONDS = "seconds"
    "Of this machine."


@dataclass(frozen=True, kw_only=True)
class PromptApproach:
    """A way to ask: a template, perhaps a system prompt, and so many examples drawn from training data."""

    name: str
    template: str = "$question$"
    "With `$question$`, and with `$passages$` where retrieved passages belong; without it they stand before."
    system: str | None = None
    num_examples: int = 0
    training: Path | None = None
    "The records that examples are drawn from."

    @property
    def is_plain(self) -> bool:
        return self.template == "$question$" and self.system is None and not self.num_examples


@dataclass(frozen=True, kw_only=True)
class RetrievalApproach:
    """The passages put before a question: of a knowledge base there is, or of one made from documents."""

    name: str
    knowledge_base: str | None = None
    "By id."
    documents: tuple[Path, ...] = ()
    num_results: int = 5
    chunk_tokens: int | None = None
    encoder: str | None = None

    @property
    def is_plain(self) -> bool:
        return self.knowledge_base is None and not self.documents


@dataclass(frozen=True, kw_only=True)
class CustomizationApproach:
    """A customization job upon a base model, or upon the model of another approach."""

    name: str
    type: str | None = None
    "FINE_TUNING or CONTINUED_PRE_TRAINING; None: the model as it comes."
    training: Path | None = None
    validation: Path | None = None
    after: str | None = None
    "The approach whose model this one goes on from."
    hyperparameters: tuple[tuple[str, str], ...] = ()

    @property
    def is_plain(self) -> bool:
        return self.type is None


@dataclass(frozen=True, kw_only=True)
class BakeoffCell:
    """A combination of approaches, which is asked all questions."""

    prompt: str
    retrieval: str
    customization: str
    model: str

    @property
    def parts(self) -> dict[str, str]:
        """The approaches by axis."""
        return {axis: getattr(self, axis) for axis in AXES}

    @property
    def name(self) -> str:
        """The address of the cell, as `--cell` takes it."""
        return "/".join(self.parts.values())


@dataclass(frozen=True, kw_only=True)
class BakeoffPlan:
    """Everything that a bake-off is asked to do."""

    name: str
    questions: Path
    models: tuple[str, ...]
    scores: tuple[str, ...]
    "By name; the first is the measure by which approaches are ranked."
    prompts: Mapping[str, PromptApproach]
    retrievals: Mapping[str, RetrievalApproach]
    customizations: Mapping[str, CustomizationApproach]
    leave_out: tuple[Mapping[str, str], ...] = ()
    most_questions: int | None = None
    max_tokens: int = 128
    seed: int = 0
    threads: int | None = None
    "Of each job, so that the plan makes the same models again; None leaves them to the installation."
    horizon: int = 1000
    "Answers over which the cost of a customization is spread."
    cost: CostKind | None = None
    "None: by price where a list prices every cell, else by tokens."
    prices: Path | None = None

    @property
    def measure(self) -> str:
        return self.scores[0]

    def cells(self) -> Iterator[BakeoffCell]:
        """The cells in the order of the plan: by model, then customization, retrieval and prompt."""
        product = itertools.product(self.models, self.customizations, self.retrievals, self.prompts)
        for model, customization, retrieval, prompt in product:
            cell = BakeoffCell(prompt=prompt, retrieval=retrieval, customization=customization, model=model)
            if not any(_matches(cell, pattern) for pattern in self.leave_out):
                yield cell

    def chain(self, customization: str) -> tuple[CustomizationApproach, ...]:
        """The jobs that lead to an approach's model, the first one first; none for the model as it comes."""
        approach = self.customizations[customization]
        before = self.chain(approach.after) if approach.after is not None else ()
        return before if approach.is_plain else (*before, approach)


def _matches(cell: BakeoffCell, pattern: Mapping[str, str]) -> bool:
    return all(cell.parts[axis] == name for axis, name in pattern.items())
