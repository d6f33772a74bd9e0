"""What a job tells while it runs: both CSVs and the progress, in the output bucket, at most about once a second."""

import time
from collections.abc import Callable
from typing import Any

from outcrop.customization.artifacts import Artifacts, Row
from outcrop.training.metrics import EvaluationMetrics, Progress, Score, StepMetrics, TrainingResult

_EVERY_S = 1.0


class Journal:
    """Collects what the training loop tells. Steps told again after a resume replace what was told before."""

    def __init__(self, artifacts: Artifacts, report: Callable[[str], None]) -> None:
        self._artifacts = artifacts
        self._report = report
        self._steps: dict[int, Row] = {}
        self._evaluations: dict[int, Row] = {}
        self._written_at = 0.0

    def on_step(self, told: StepMetrics) -> None:
        self._steps[told.step] = Row(step=told.step, epoch=told.epoch, loss=told.loss, perplexity=told.perplexity)

    def on_evaluation(self, told: EvaluationMetrics) -> None:
        self._report(f"evaluated at step {told.step}")
        self._evaluations[told.step] = Row(step=told.step, epoch=told.epoch, loss=told.loss, perplexity=told.perplexity)

    def on_progress(self, told: Progress) -> None:
        self._report(f"step {told.steps_done}")
        if time.monotonic() - self._written_at < _EVERY_S:
            return
        self._artifacts.write_progress(_progress(told))
        self._write_csvs()
        self._written_at = time.monotonic()

    def finish(self, result: TrainingResult) -> None:
        """The complete files, from the result itself."""
        for step in result.step_metrics:
            self.on_step(step)
        for evaluation in result.evaluations:
            self.on_evaluation(evaluation)
        self._write_csvs()
        last = result.step_metrics[-1].loss if result.step_metrics else None
        done = {
            "step": result.steps,
            "steps": result.steps,
            "loss": last,
            "seconds_left": 0.0,
            "best_step": result.best_step,
        }
        self._artifacts.write_progress(done)
        self._artifacts.write_held_out(
            [{"file": v.name, "base": _score(v.base), "custom": _score(v.custom)} for v in result.validators]
        )

    def _write_csvs(self) -> None:
        self._artifacts.write_training(row for _, row in sorted(self._steps.items()))
        if self._evaluations:
            self._artifacts.write_validation(row for _, row in sorted(self._evaluations.items()))


def _progress(told: Progress) -> dict[str, Any]:
    return {
        "step": told.steps_done,
        "steps": told.steps,
        "loss": told.loss,
        "seconds_left": round(told.seconds_left, 1),
        "tokens_per_s": round(told.tokens_per_s, 1),
    }


def _score(score: Score) -> dict[str, float | int]:
    return {
        "loss": score.loss,
        "perplexity": score.perplexity,
        "bits_per_byte": score.bits_per_byte,
        "tokens": score.num_tokens,
        "bytes": score.num_bytes,
    }
