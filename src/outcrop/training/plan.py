"""The plan of a training run, known before its first step."""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.training.batches import steps_per_epoch
from outcrop.training.examples import Example
from outcrop.training.schedule import Schedule, after_warmup, effective_warmup
from outcrop.training.task import TrainingHyper

_EVALUATIONS_PER_EPOCH = 4


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Steps, rows and tokens of a run that is not stopped early."""

    num_records: int
    num_sequences: int
    "More than the records where long texts were split."
    epochs: int
    steps_per_epoch: int
    num_tokens: int
    num_supervised: int
    longest: int
    "Tokens of the longest sequence."
    warmup_steps: int
    learning_rate: float
    schedule: Schedule
    evaluate_after: frozenset[int]
    "Numbers of steps taken after which the first validator is evaluated."
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def num_evaluations(self) -> int:
        """The number of evaluations of the first validator: before training, and after each of `evaluate_after`."""
        return 1 + len(self.evaluate_after) if self.evaluate_after else 0

    def to_text(self) -> str:
        split = "" if self.num_sequences == self.num_records else f" in {self.num_sequences:,} sequences"
        then = after_warmup(self.schedule)
        lines = [
            f"records      {self.num_records:,}{split}, the longest of {self.longest:,} tokens",
            f"steps        {self.steps:,} = {self.epochs} epochs x {self.steps_per_epoch:,}",
            f"tokens       {self.num_tokens:,}, of which {self.num_supervised:,} are learned",
            f"rate         {self.learning_rate:g} after {self.warmup_steps} steps of warmup, then {then}",
            f"evaluations  {self.num_evaluations}{', the first before training' if self.num_evaluations else ''}",
        ]
        return "\n".join([*lines, *(f"note         {note}" for note in self.notes)])


def plan_training(
    examples: Sequence[Example],
    validation: Sequence[Example],
    hyper: TrainingHyper,
    *,
    notes: Sequence[str] = (),
) -> TrainingPlan:
    per_epoch = steps_per_epoch(len(examples), hyper.batch_size)
    steps = hyper.epochs * per_epoch
    warmup_steps = effective_warmup(hyper.warmup_steps, steps=steps)
    told = list(notes)
    if warmup_steps < hyper.warmup_steps:
        told.append(f"warmup shortened from {hyper.warmup_steps} to {warmup_steps} steps: the run has only {steps}")
    num_records = len({example.line for example in examples})
    if num_records < len(examples):
        told.append("texts longer than the context were split into consecutive sequences; no token is lost")
    num_tokens = sum(map(len, examples))
    return TrainingPlan(
        num_records=num_records,
        num_sequences=len(examples),
        epochs=hyper.epochs,
        steps_per_epoch=per_epoch,
        num_tokens=hyper.epochs * num_tokens,
        num_supervised=hyper.epochs * sum(example.num_supervised for example in examples),
        longest=max(map(len, examples)),
        warmup_steps=warmup_steps,
        learning_rate=hyper.learning_rate,
        schedule=hyper.schedule,
        evaluate_after=evaluations(steps, per_epoch, num_tokens, sum(map(len, validation)), hyper),
        notes=tuple(told),
    )


def evaluations(
    steps: int, per_epoch: int, num_tokens: int, num_validation: int, hyper: TrainingHyper
) -> frozenset[int]:
    """Numbers of steps taken after which there is one: each so many, or evenly over each epoch; its end included."""
    if not num_validation:
        return frozenset()
    if hyper.evaluate_every_steps is not None:
        return steps_to_evaluate(steps, every=hyper.evaluate_every_steps)
    wanted = hyper.evaluations_per_epoch
    if wanted is None:
        # An evaluation costs a third of training on the same tokens; together they shall not cost more than training.
        wanted = min(_EVALUATIONS_PER_EPOCH, max(1, 3 * num_tokens // num_validation))
    wanted = min(wanted, per_epoch)
    within = {-(-per_epoch * part // wanted) for part in range(1, wanted + 1)}
    return frozenset(start + end for start in range(0, steps, per_epoch) for end in within)


def steps_to_evaluate(steps: int, *, every: int) -> frozenset[int]:
    """Numbers of steps taken: each multiple of `every`, and the end of the run."""
    return frozenset({*range(every, steps, every), steps})
