"""The outcome of a cell: the scores of its answers question by question, and everything that they took.

Programs that asked in their own way make these values too; they are judged (`judging.py`) and shown as a plan's are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrainingNeed:
    """The costs of training a model, all jobs of its chain together."""

    seconds: float = 0.0
    "From the start of each job's first phase to its end; waiting for other jobs does not count."
    tokens: int = 0
    "Of all steps."
    peak_bytes: int = 0
    "The most that one of the jobs held."

    def __add__(self, other: "TrainingNeed") -> "TrainingNeed":
        return TrainingNeed(
            seconds=self.seconds + other.seconds,
            tokens=self.tokens + other.tokens,
            peak_bytes=max(self.peak_bytes, other.peak_bytes),
        )


@dataclass(frozen=True, kw_only=True)
class CellOutcome:
    """The answers of one approach, scored, with what they took."""

    name: str
    values: Mapping[str, tuple[float | None, ...]]
    "By score; a value for each question, in the same order for all cells."
    num_answers: int
    weights: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    "Of the values of measures that are means over tokens; others weigh all questions alike."
    num_input_tokens: int = 0
    "Of all answers together."
    num_output_tokens: int = 0
    machine_s: float = 0.0
    "Time for all answers, several being made at once."
    training: TrainingNeed = field(default_factory=TrainingNeed)
    base: str = ""
    "The model id that a price list knows."
    model: str = ""
    "The id or ARN that was asked."
    command: str = ""
    "Repeats the cell alone."
    notes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    failure: str = ""
    "Why there are no values; empty where there are."

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON."""
        told: dict[str, Any] = {"cell": self.name, "model": self.model, "command": self.command}
        if self.failure:
            return {**told, "failure": self.failure}
        return {
            **told,
            "values": {name: list(values) for name, values in self.values.items()},
            "answers": list(self.answers),
            "inputTokens": self.num_input_tokens,
            "outputTokens": self.num_output_tokens,
            "answerSeconds": round(self.machine_s, 3),
            "training": {
                "seconds": round(self.training.seconds, 1),
                "tokens": self.training.tokens,
                "peakBytes": self.training.peak_bytes,
            },
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "CellOutcome":
        """The outcome that `to_json` told; weights of questions and the base are not told there."""
        name, model, command = str(told["cell"]), str(told["model"]), str(told["command"])
        if "failure" in told:
            failure = str(told["failure"])
            return cls(name=name, model=model, command=command, values={}, num_answers=0, failure=failure)
        values = {name: tuple(each) for name, each in told["values"].items()}
        training = told["training"]
        return cls(
            name=name,
            model=model,
            command=command,
            values=values,
            num_answers=max((len(each) for each in values.values()), default=0),
            num_input_tokens=int(told["inputTokens"]),
            num_output_tokens=int(told["outputTokens"]),
            machine_s=float(told["answerSeconds"]),
            training=TrainingNeed(
                seconds=float(training["seconds"]),
                tokens=int(training["tokens"]),
                peak_bytes=int(training["peakBytes"]),
            ),
            notes=tuple(map(str, told["notes"])),
            answers=tuple(map(str, told["answers"])),
        )
