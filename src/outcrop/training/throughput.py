"""How fast a run goes, and how long it will still take: steps, evaluations, model checkpoints, and what comes last."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from outcrop.training import expectation
from outcrop.training.checkpoints.model_checkpoints import CheckpointSchedule
from outcrop.training.data import TrainingData
from outcrop.training.estimate import machine
from outcrop.training.metrics import Progress, StepMetrics
from outcrop.training.plan import TrainingPlan

_SCORING = 1 / 3
"Of learning from the same tokens; a guess, until an evaluation was timed."


class RemainingWork(NamedTuple):
    """The work of a training run from its first step on: tokens to learn from, evaluations, model checkpoints."""

    num_tokens: int
    "Of all its steps together."
    steps: int
    evaluate_after: frozenset[int]
    evaluated_tokens: int
    "Of the first validator."
    other_tokens: int
    "Of the others, which are scored once more at the end."
    save_after: frozenset[int]
    saves_at_end: int
    sampled_tokens: int
    "Those of every forward pass by which a save foretells what an engine will answer."


def remaining_work(data: TrainingData, plan: TrainingPlan, saves: CheckpointSchedule) -> RemainingWork:
    """The work that a plan with these model checkpoints foresees."""
    return RemainingWork(
        num_tokens=plan.num_tokens,
        steps=plan.steps,
        evaluate_after=plan.evaluate_after,
        evaluated_tokens=sum(map(len, data.evaluated)),
        other_tokens=sum(len(example) for other in data.validators[1:] for example in other.examples),
        save_after=saves.after,
        saves_at_end=1 + saves.one_for_the_best,
        sampled_tokens=sum(expectation.forwards([len(each) for each in data.held_out])),
    )


class MeanTime:
    """The mean time of a kind of work that a run repeats, such as evaluations."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._count = 0

    def add(self, seconds: float) -> None:
        self.total_s += seconds
        self._count += 1

    def mean(self, guess: float) -> float:
        """`guess` as long as nothing was timed."""
        return self.total_s / self._count if self._count else guess


class Throughput:
    """Tokens a second of one training run, and the time it has left, also after a resume."""

    def __init__(self, ahead: RemainingWork, *, now: Callable[[], float] = time.monotonic) -> None:
        self._ahead = ahead
        self._now = now
        self._evaluations, self._others, self._saves, self._answers = (MeanTime() for _ in range(4))
        self._before_s = 0.0
        self.begin(tokens_done=0)

    def begin(self, *, tokens_done: int) -> None:
        """The steps begin, or go on; what was timed before them stays."""
        self._began = self._now()
        self._before_s = self._timed_s
        self._tokens_before = self._tokens_done = tokens_done

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The first validator is scored meanwhile."""
        with self._timing(self._evaluations):
            yield

    @contextmanager
    def scoring_others(self) -> Iterator[None]:
        """The other validators, all of them."""
        with self._timing(self._others):
            yield

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A model checkpoint is made."""
        with self._timing(self._saves):
            yield

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Held-out prompts are answered: it is no step's time, and too little to be foreseen."""
        with self._timing(self._answers):
            yield

    @property
    def _timed_s(self) -> float:
        return sum(each.total_s for each in (self._evaluations, self._others, self._saves, self._answers))

    def after(self, step: StepMetrics) -> Progress:
        self._tokens_done += step.tokens
        seconds = max(self._now() - self._began, 1e-9)
        return Progress(
            steps=self._ahead.steps,
            tokens_per_s=(self._tokens_done - self._tokens_before) / seconds,
            seconds_left=self._seconds_left(seconds, step.step + 1),
            last=step,
            resident_bytes=machine.resident_bytes(),
            peak_bytes=machine.peak_bytes(),
        )

    def _seconds_left(self, seconds: float, steps_done: int) -> float:
        """The seconds left for the rest of the last step's work and of the run, should it not end early."""
        ahead = self._ahead
        timed = self._timed_s - self._before_s
        per_token = max(seconds - timed, 1e-9) / (self._tokens_done - self._tokens_before)
        evaluation_s = self._evaluations.mean(ahead.evaluated_tokens * _SCORING * per_token)
        save_s = self._saves.mean(ahead.sampled_tokens * _SCORING * per_token)
        num_evaluations = sum(place >= steps_done for place in ahead.evaluate_after)
        num_saves = sum(place >= steps_done for place in ahead.save_after) + ahead.saves_at_end
        return (
            (ahead.num_tokens - self._tokens_done) * per_token
            + num_evaluations * evaluation_s
            + num_saves * save_s
            + self._others.mean(ahead.other_tokens * _SCORING * per_token)
        )

    @contextmanager
    def _timing(self, timed: MeanTime) -> Iterator[None]:
        began = self._now()
        yield
        timed.add(self._now() - began)
