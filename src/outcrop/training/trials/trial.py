"""A trial of a search, and what is asked of whoever chooses trials: values that know nothing of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from outcrop.errors import Invalid
from outcrop.training.metrics import Hooks, Score, TrainingResult
from outcrop.training.task import TrainingTask


class CannotShareError(Invalid):
    """Trials cannot learn side by side; one after the other they can."""


class TrialEnd(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A training run with hyperparameters of its own, one of several on the same base and data."""

    number: int
    task: TrainingTask
    entered: int = 0
    "The steps that those beside it had taken together when it began, by which all are taken up alike."
    hooks: Hooks = field(default_factory=Hooks)
    "`should_stop` says that it need not go on."


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """The outcome of a trial."""

    number: int
    end: TrialEnd
    result: TrainingResult | None = None
    "None where it failed."
    message: str = ""
    "Why it failed."

    @property
    def loss(self) -> float | None:
        """The lowest loss on the first validator after a step; that of the weights that are kept."""
        evaluations = self.result.evaluations[1:] if self.result else ()
        return min((evaluation.loss for evaluation in evaluations), default=None)


class TrialSource(Protocol):
    """Where trials come from: a search, which learns from what came of earlier ones."""

    def under_way(self) -> list[Trial]:
        """The trials that have begun and not ended, in their order: of a process that was killed."""
        ...

    def next(self, entered: int) -> Trial | None:
        """The next one, which begins after so many steps taken together; None while there is none."""
        ...

    def wants(self, outcome: TrialOutcome) -> bool:
        """Whether the trained weights shall be written into the task's output folder, before it is told."""
        ...

    def wants_records(self, outcome: TrialOutcome) -> bool:
        """Whether `records` of it shall be told, before its end is."""
        ...

    def records(self, number: int, scores: Sequence[Score]) -> None:
        """The scores of a trial's weights on each record of the last validator."""
        ...

    def ended(self, outcome: TrialOutcome) -> None:
        """A trial's end; it is not begun again."""
        ...

    def should_stop(self) -> bool:
        """Asked between steps: whether all are to stop where they are."""
        ...

    def note(self, sentence: str) -> None:
        """Told what a person should know."""
        ...
