"""When a checkpoint is written: often enough that little work is lost, seldom enough that it costs little."""

import time

from outcrop.training import checkpoint
from outcrop.training.history import History
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingTask
from outcrop.training.weights import TrainedWeights

_SHARE = 0.05
"Of the time, at most, goes into checkpoints."


class Keeper:
    """Writes one run's checkpoints. A full disk is told and tried again; training goes on meanwhile."""

    def __init__(self, task: TrainingTask, weights: TrainedWeights, hooks: Hooks) -> None:
        self._folder = task.run_dir
        self._task = task.digest()
        self._every_s = task.hyper.checkpoint_every_s
        self._weights = weights
        self._hooks = hooks
        self._cost_s = 0.0
        self._last = time.monotonic()

    def resume(self) -> History | None:
        return checkpoint.resume(self._folder, task=self._task, weights=self._weights, note=self._hooks.on_note)

    def write_if_due(self, history: History) -> None:
        if self._waited() >= max(self._every_s, self._cost_s / _SHARE):
            self.write(history)

    def write_at_evaluation(self, history: History) -> None:
        """Where the costly part of a run is just done; only the share of time holds it back."""
        if self._waited() >= self._cost_s / _SHARE:
            self.write(history)

    def write(self, history: History) -> None:
        began = time.monotonic()
        try:
            checkpoint.write(self._folder, task=self._task, weights=self._weights, history=history)
        except OSError as error:
            self._hooks.on_note(
                f"{self._folder}: the checkpoint after step {len(history.steps)} could not be written "
                f"({error.strerror or error}). Training goes on; make room on the disk."
            )
        self._last = time.monotonic()
        self._cost_s = self._last - began

    def _waited(self) -> float:
        return time.monotonic() - self._last
