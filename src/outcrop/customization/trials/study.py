"""The study of a search: its trials and what came of them, in one file of the job's run folder.

The file is replaced whole whenever a trial begins or ends, so a worker that takes the job up reads what its predecessor
knew.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.training.metrics import EvaluationMetrics
from outcrop.training.trials.trial import TrialEnd, TrialOutcome

FILE = "study.json"


class LossPoint(NamedTuple):
    """The first validator's loss after some steps of a trial."""

    step: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class StudyTrial:
    """A trial, as far as it has come."""

    number: int
    values: Mapping[str, str]
    "Hyperparameters that the search has chosen; none for the first, which has the job's own."
    entered: int = 0
    "Steps that the trials beside it had taken together when it began."
    curve: tuple[LossPoint, ...] = ()
    end: TrialEnd | None = None
    "None while it is under way."
    steps: int = 0
    message: str = ""

    @property
    def loss(self) -> float | None:
        """The lowest loss it had, that of the weights that it keeps."""
        return min((point.loss for point in self.curve), default=None)

    @property
    def best_step(self) -> int:
        return min(self.curve, key=lambda point: point.loss).step if self.curve else 0

    def with_outcome(self, outcome: TrialOutcome) -> "StudyTrial":
        evaluations = outcome.result.evaluations[1:] if outcome.result else ()
        steps = outcome.result.steps if outcome.result else self.steps
        curve = curve_of(evaluations) or self.curve
        return replace(self, end=outcome.end, curve=curve, steps=steps, message=outcome.message)


def curve_of(evaluations: Sequence[EvaluationMetrics]) -> tuple[LossPoint, ...]:
    """The points of a trial's evaluations; where training starts from is none."""
    return tuple(LossPoint(each.step, each.loss) for each in evaluations if each.step > 0)


@dataclass(kw_only=True)
class Study:
    """The trials of a job, in the order of their numbers."""

    path: Path
    trials: list[StudyTrial] = field(default_factory=list)
    records: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    "By trial: loss in nats and tokens of each record of the last validator; of the first trial and the best."
    side_by_side: str = ""
    "Why trials go one after the other; empty where they learn side by side."

    @classmethod
    def open(cls, folder: Path) -> "Study":
        """The study in a folder; a new one where there is none."""
        path = folder / FILE
        if not path.exists():
            return cls(path=path)
        told = json.loads(path.read_text("utf-8"))
        trials = [
            StudyTrial(
                **each
                | {
                    "curve": tuple(LossPoint(*point) for point in each["curve"]),
                    "end": each["end"] and TrialEnd(each["end"]),
                }
            )
            for each in told["trials"]
        ]
        records = {int(number): [(nll, num) for nll, num in each] for number, each in told["records"].items()}
        return cls(path=path, trials=trials, records=records, side_by_side=told["side_by_side"])

    @property
    def best(self) -> StudyTrial | None:
        """The completed trial with the lowest loss, the earliest of several."""
        completed = [trial for trial in self.trials if trial.end is TrialEnd.COMPLETED and trial.loss is not None]
        return min(completed, key=lambda trial: (trial.loss, trial.number), default=None)

    def put(self, trial: StudyTrial) -> None:
        """Note a trial as it is now, in memory."""
        if trial.number == len(self.trials):
            self.trials.append(trial)
        else:
            self.trials[trial.number] = trial

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self._document(), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def to_json(self) -> dict[str, Any]:
        """The study for the output bucket: with losses, and which trial is the best."""
        best = self.best
        trials = [self.row(trial) for trial in self.trials]
        return {
            "best": None if best is None else best.number,
            "trials": trials,
            "records": {str(number): each for number, each in self.records.items()},
            "one_after_the_other_because": self.side_by_side or None,
        }

    def row(self, trial: StudyTrial) -> dict[str, Any]:
        best = self.best
        return {
            "number": trial.number,
            "values": dict(trial.values),
            "end": trial.end,
            "loss": trial.loss,
            "steps": trial.steps,
            "best_step": trial.best_step,
            "curve": [list(point) for point in trial.curve],
            "best": best is not None and best.number == trial.number,
            **({"message": trial.message} if trial.message else {}),
        }

    def _document(self) -> dict[str, Any]:
        return {
            "trials": [asdict(trial) for trial in self.trials],
            "records": self.records,
            "side_by_side": self.side_by_side,
        }
