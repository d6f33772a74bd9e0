"""Whether a custom model is better than what its training began with, on the validation data.

How that is said is here too.

The first validator decides, as it decides which weights are kept. A job whose model is no better has done its work and
is `Completed`; that its model is of no use must be heard wherever somebody looks.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outcrop.training.metrics import TrainingResult, ValidatorResult
from outcrop.training.task import TrainingTask

_VALIDATE = "Give validationDataConfig, or outcrop.evalPercentage to set training records aside."


class Outcome(StrEnum):
    """The custom model beside what its training began with."""

    BETTER = "better"
    WORSE = "worse"
    "No better counts as worse: who trains wants more than what was there."
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """On one result."""

    outcome: Outcome
    sentence: str

    @property
    def members(self) -> dict[str, Any]:
        """The members of an event, or of a JSON object, that tell the verdict."""
        return {"verdict": self.outcome.value, "verdict_note": self.sentence}

    @property
    def failure_message(self) -> dict[str, str]:
        """The `failureMessage` in the details of the job and of the model: only of a model that is worse."""
        return {"failureMessage": self.sentence} if self.outcome is Outcome.WORSE else {}


def of(task: TrainingTask, result: TrainingResult) -> Verdict:
    """The verdict on what a completed run has kept."""
    if task.begins_at_random:
        return _of_random_start(result)
    before = "the base model" if task.parent_adapter is None and task.base_owner is None else "the custom model before"
    if not result.validators:
        told = f"Whether the custom model is better than {before} is not known, without validation data. {_VALIDATE}"
        return Verdict(outcome=Outcome.NOT_COMPARED, sentence=told)
    first, *others = result.validators
    worse = "".join(f" It is no better on {other.name}." for other in others if _is_worse(other))
    losses = f"{first.name}: loss {first.custom.loss:.4f}, {before} {first.base.loss:.4f}"
    if not _is_worse(first):
        told = f"The custom model is better than {before} on the validation data ({losses}).{worse}"
        return Verdict(outcome=Outcome.BETTER, sentence=told)
    how = "no better than" if first.custom.loss == first.base.loss else "worse than"
    told = f"The job completed, but its custom model is {how} {before} on the validation data ({losses}).{worse}"
    return Verdict(outcome=Outcome.WORSE, sentence=f"{told} {_mend(task)}")


def _of_random_start(result: TrainingResult) -> Verdict:
    """On a network that began at random: whether it learned anything.

    Its foundation model may have another tokenizer, so that the losses of the two are of different tokens.
    """
    if not result.validators:
        told = f"What the custom model has learned is not known, without validation data. {_VALIDATE}"
        return Verdict(outcome=Outcome.NOT_COMPARED, sentence=told)
    losses = "; ".join(
        f"{each.name}: {each.custom.bits_per_byte:.3f} bits per byte, {each.base.bits_per_byte:.3f} at random"
        for each in result.validators
    )
    if _is_worse(result.validators[0]):
        told = f"The job completed, but its custom model has learned nothing of the validation data ({losses})."
        return Verdict(outcome=Outcome.WORSE, sentence=f"{told} Train longer, or at another outcrop.learningRate.")
    told = (
        f"The custom model began at random and was not compared with a base model ({losses}). Where tokenizers differ, "
        "bits per byte can be compared, and losses cannot; held_out.json of any job has both."
    )
    return Verdict(outcome=Outcome.NOT_COMPARED, sentence=told)


def _is_worse(validator: ValidatorResult) -> bool:
    return not validator.custom.loss < validator.base.loss


def _mend(task: TrainingTask) -> str:
    rate = task.hyper.learning_rate
    if rate == 0:
        return "The learning rate was 0; choose another one."
    return (
        f"The learning rate was {rate:g} in batches of {task.hyper.batch_size}: try a lower one (outcrop.learningRate "
        "takes it as it is) or larger batches, and look whether the validation data is of the training data's kind."
    )
