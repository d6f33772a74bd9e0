"""The progress of a running job in its output bucket: the CSVs, the progress and the events.

They are written about once a second.

What a killed worker told is told again by its successor, from what the run remembers.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from outcrop.customization.output.artifacts import Artifacts, MetricsRow
from outcrop.customization.output.events import Events
from outcrop.customization.output.tensorboard import EventFile
from outcrop.customization.verdict import Outcome, Verdict
from outcrop.jobs.full_disk import is_passing
from outcrop.jobs.running import ProgressReport
from outcrop.training.metrics import (
    EvaluationMetrics,
    HeldOutAnswer,
    ModelCheckpoint,
    Progress,
    RunStart,
    Score,
    StepMetrics,
    TrainingResult,
)

_EVERY_S = 1.0
_SHARE = 0.02
"Of the time, at most, goes into writing: the files of a long run are long."


class Journal:
    """Collects what the training loop tells. Steps told again after a resume replace what was told before."""

    def __init__(
        self, artifacts: Artifacts, events: Events, report: ProgressReport, *, tensorboard: bool = False
    ) -> None:
        self._artifacts = artifacts
        self._events = events
        self.report = report
        "Told how far the job is, in words that change with it, and what was measured."
        self._steps: dict[int, MetricsRow] = {}
        self._evaluations: dict[int, MetricsRow] = {}
        self._progress: dict[str, Any] = {}
        self._peak_flops = 0.0
        self._written_at = 0.0
        self._cost_s = 0.0
        self._event_file = EventFile() if tensorboard else None
        if self._event_file is not None:
            for event in events.all():
                self._event_file.add(event)
            events.listener = self._event_file.add

    def on_report(self, uri: str) -> None:
        self._tell("report", uri=uri)

    def on_plan(self, text: str) -> None:
        self._tell("plan", lines=text.splitlines())

    def on_start(self, start: RunStart) -> None:
        self._peak_flops = start.peak_flops
        for step in start.steps:
            self._steps[step.step] = _step_row(step)
        for evaluation in start.evaluations:
            self._evaluations[evaluation.step] = _evaluation_row(evaluation)
        self._tell(
            "resume" if start.steps else "start",
            step=len(start.steps),
            parameters=start.num_parameters,
            trained_parameters=start.num_trained,
            threads=start.threads,
            devices=start.devices,
            peak_flops=round(start.peak_flops),
        )

    def on_evaluation(self, told: EvaluationMetrics) -> None:
        self.report(f"evaluated at step {told.step}", {"ValidationLoss": told.loss})
        self._evaluations[told.step] = _evaluation_row(told)
        self._tell(
            "evaluation", step=told.step, epoch=told.epoch, loss=told.loss, perplexity=told.perplexity, best=told.best
        )

    def on_answers(self, step: int, answers: Sequence[HeldOutAnswer]) -> None:
        """Held-out prompts as they are answered after so many steps. They stay in the events, out of every record."""
        self._tell("answers", step=step, answers=[asdict(answer) for answer in answers])

    def on_checkpoint(self, told: ModelCheckpoint, uri: str) -> None:
        self._tell("checkpoint", step=told.step, epoch=told.epoch, validation_loss=told.loss, uri=uri)

    def on_trial(self, trial: Mapping[str, Any], study: Mapping[str, Any], words: str) -> None:
        """A trial of a search has ended: the event, and the study as it stands now."""
        self.report(words, {} if trial["loss"] is None else {"ValidationLoss": trial["loss"]})
        self._tell("trial", **trial)
        with _tolerating_what_passes():
            self._artifacts.write_study(study)
            self._artifacts.write_events(self._events.content())

    def on_note(self, sentence: str) -> None:
        self._tell("note", note=sentence)

    def on_progress(self, told: Progress) -> None:
        self.report(f"step {told.steps_done}", _numbers(told))
        self._steps[told.last.step] = _step_row(told.last)
        self._progress = _progress(told)
        self._tell("step", **_step_event(told, self._peak_flops))
        if time.monotonic() - self._written_at >= max(_EVERY_S, self._cost_s / _SHARE):
            with _tolerating_what_passes():
                self._write()

    def finish(self, result: TrainingResult, verdict: Verdict) -> None:
        """The complete files, from the result itself."""
        if verdict.outcome is Outcome.WORSE:
            self.on_note(verdict.sentence)
        for step in result.step_metrics:
            self._steps[step.step] = _step_row(step)
        for evaluation in result.evaluations:
            self._evaluations[evaluation.step] = _evaluation_row(evaluation)
        last = result.step_metrics[-1].loss if result.step_metrics else None
        self._progress = {
            "step": result.steps,
            "steps": result.steps,
            "loss": last,
            "seconds_left": 0.0,
            "best_step": result.best_step,
            **verdict.members,
        }
        self._artifacts.write_held_out(
            [{"file": v.name, "base": _score(v.base), "custom": _score(v.custom)} for v in result.validators]
        )

    def end(self, status: str, **members: Any) -> None:
        """The last event, and everything written once more. Raises Refusal and OSError."""
        self._events.tell("end", status=status, **members)
        self._write()

    def _tell(self, event: str, **members: Any) -> None:
        with _tolerating_what_passes():
            self._events.tell(event, **members)

    def _write(self) -> None:
        began = time.monotonic()
        if self._steps:
            self._artifacts.write_training(row for _, row in sorted(self._steps.items()))
        if self._evaluations:
            self._artifacts.write_validation(row for _, row in sorted(self._evaluations.items()))
        if self._progress:
            self._artifacts.write_progress(self._progress)
        self._artifacts.write_events(self._events.content())
        if self._event_file is not None:
            self._artifacts.write_tensorboard(self._event_file.name, self._event_file.content())
        self._written_at = time.monotonic()
        self._cost_s = self._written_at - began


@contextmanager
def _tolerating_what_passes() -> Iterator[None]:
    """While training goes on, what cannot be told is left out: the CSVs are complete again with the next write."""
    try:
        yield
    except Exception as error:
        if not is_passing(error):
            raise


def _step_row(told: StepMetrics) -> MetricsRow:
    return MetricsRow(step=told.step, epoch=told.epoch, loss=told.loss, perplexity=told.perplexity)


def _evaluation_row(told: EvaluationMetrics) -> MetricsRow:
    return MetricsRow(step=told.step, epoch=told.epoch, loss=told.loss, perplexity=told.perplexity)


def _step_event(told: Progress, peak_flops: float) -> dict[str, Any]:
    last = told.last
    return {
        "step": last.step,
        "epoch": last.epoch,
        "loss": last.loss,
        "perplexity": last.perplexity,
        "learning_rate": last.learning_rate,
        "grad_norm": last.grad_norm,
        "tokens": last.tokens,
        "supervised_tokens": last.supervised,
        "seconds": round(last.seconds, 6),
        "tokens_per_s": round(last.tokens / last.seconds, 1),
        "supervised_tokens_per_s": round(last.supervised / last.seconds, 1),
        "mfu": round(last.flops / last.seconds / peak_flops, 4),
        "resident_bytes": told.resident_bytes,
        "peak_bytes": told.peak_bytes,
        "seconds_left": _seconds_left(told),
    }


def _numbers(told: Progress) -> dict[str, float]:
    """Numbers of a step that are worth watching over time, by the metric they become."""
    last = told.last
    return {
        "Step": last.step,
        "TrainingLoss": last.loss,
        "LearningRate": last.learning_rate,
        "GradientNorm": last.grad_norm,
        "TokensPerSecond": last.tokens / last.seconds,
        "SecondsLeft": _seconds_left(told),
        "ResidentBytes": told.resident_bytes,
    }


def _progress(told: Progress) -> dict[str, Any]:
    return {
        "step": told.steps_done,
        "steps": told.steps,
        "loss": told.loss,
        "seconds_left": _seconds_left(told),
        "tokens_per_s": round(told.tokens_per_s, 1),
    }


def _seconds_left(told: Progress) -> float:
    """Never 0: the end is told when it is there."""
    return max(0.1, round(told.seconds_left, 1))


def _score(score: Score) -> dict[str, float | int]:
    return {
        "loss": score.loss,
        "perplexity": score.perplexity,
        "bits_per_byte": score.bits_per_byte,
        "tokens": score.num_tokens,
        "bytes": score.num_bytes,
    }
