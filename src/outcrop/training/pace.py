"""How fast a run goes, and how long it will still take."""

import time

from outcrop.training import machine
from outcrop.training.metrics import Progress, StepMetrics
from outcrop.training.plan import TrainingPlan


class Pace:
    """Measures since it was made, evaluations and checkpoints included."""

    def __init__(self, plan: TrainingPlan, *, tokens_done: int) -> None:
        self._plan = plan
        self._began = time.monotonic()
        self._tokens_before = tokens_done
        self._tokens_done = tokens_done

    def after(self, step: StepMetrics) -> Progress:
        self._tokens_done += step.tokens
        seconds = max(time.monotonic() - self._began, 1e-9)
        tokens_per_s = (self._tokens_done - self._tokens_before) / seconds
        return Progress(
            steps=self._plan.steps,
            tokens_per_s=tokens_per_s,
            seconds_left=(self._plan.num_tokens - self._tokens_done) / tokens_per_s,
            last=step,
            resident_bytes=machine.resident_bytes(),
            peak_bytes=machine.peak_bytes(),
        )
