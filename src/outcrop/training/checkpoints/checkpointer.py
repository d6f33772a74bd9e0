"""Checkpoints of a run: written often enough that little work is lost, seldom enough that it costs little.

The state is copied between two steps, and written by a thread while training goes on. Of several ranks the first writes
and reads, and gives the others what it read, so that a run may be taken up again by more ranks or fewer.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Self

import torch

from outcrop.training.checkpoints import checkpoint
from outcrop.training.checkpoints.checkpoint import Snapshot
from outcrop.training.checkpoints.history import History
from outcrop.training.data_parallel.ranks import Ranks
from outcrop.training.data_parallel.sharding import ShardedWeights
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingTask
from outcrop.training.weights import TrainedWeights

_SHARE = 0.05
"Of the time, at most, goes into checkpoints."


class Checkpointer:
    """Writes one run's checkpoints, one at a time. A full disk is told and tried again; training goes on meanwhile.

    Hooks are called by the caller's thread only.
    """

    def __init__(
        self, task: TrainingTask, weights: TrainedWeights | ShardedWeights, hooks: Hooks, ranks: Ranks
    ) -> None:
        self._folder = task.run_dir
        self._task = task.digest()
        self._data_key = None if task.seal is None else task.seal.data_key
        self._every_s = task.hyper.checkpoint_every_s
        self._weights = weights
        self._hooks = hooks
        self._ranks = ranks
        self._cost_s = 0.0
        self._last = time.monotonic()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[float] | None = None
        self._step = 0
        self._failing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._finish()
        self._thread.shutdown()

    def resume(self, *, at_most: int | None = None) -> History | None:
        """The last whole checkpoint, of at most so many steps, put into the weights. Raises Invalid for one of another
        task."""
        return self._restore(at_most=at_most)

    def go_back(self, step: int) -> History | None:
        """Put the newest whole checkpoint of at most so many steps into the weights. Raises as `resume` does."""
        self._finish()
        return self._restore(at_most=step)

    def write_if_due(self, history: History) -> None:
        if self._agreed(self._waited() >= max(self._every_s, self._cost_s / _SHARE)):
            self._begin(history)

    def write_at_evaluation(self, history: History) -> None:
        """Where the costly part of a run is just done; only the share of time holds it back."""
        if self._agreed(self._waited() >= self._cost_s / _SHARE):
            self._begin(history)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint, and the last one is written."""
        waited = self._waited() >= max(self._every_s, self._cost_s / _SHARE)
        return waited and (self._writing is None or self._writing.done())

    def begin(self, history: History) -> None:
        """Copy the state now; it is written while training goes on, if the last one is."""
        self._begin(history)

    def finish(self) -> None:
        """The last one is on the disk when this returns, or it is told why not."""
        self._finish()

    def write(self, history: History) -> None:
        """On the disk when this returns, or told why not."""
        self._finish()
        self._begin(history)
        self._finish()

    def _restore(self, *, at_most: int | None) -> History | None:
        found = None
        if self._ranks.is_first:
            found = checkpoint.resume(
                self._folder, task=self._task, note=self._hooks.on_note, at_most=at_most, data_key=self._data_key
            )
        told = self._ranks.of_first(found and _without_tensors(found.history))
        if told is None:
            return None
        self._weights.put(found.weights if found else torch.empty(0))
        self._weights.put_optimizer_state(found.optimizer if found else {})
        return found.history if found else told

    def _begin(self, history: History) -> None:
        if not self._agreed(self._writing is None or self._writing.done()):
            return  # the disk is slower than the steps; the next one is due at once
        self._finish()
        state = checkpoint.snapshot(task=self._task, weights=self._weights, history=history)
        if not self._ranks.is_first:
            return
        self._step = state.step
        self._last = time.monotonic()
        self._writing = self._thread.submit(self._put, state)

    def _finish(self) -> None:
        """Wait for the one that is being written, and tell when it could not be."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            self._cost_s = writing.result()
            self._failing = False
        except OSError as error:
            if not self._failing:  # told once, however long the disk stays full
                self._hooks.on_note(
                    f"{self._folder}: the checkpoint after step {self._step} could not be written "
                    f"({error.strerror or error}). Training goes on; make room on the disk."
                )
            self._failing = True

    def _put(self, state: Snapshot) -> float:
        """Seconds it took. Runs in the writing thread."""
        began = time.monotonic()
        checkpoint.write(self._folder, state, data_key=self._data_key)
        return time.monotonic() - began

    def _agreed(self, answer: bool) -> bool:
        """The first rank's answer. Of split weights every rank has a part, so all begin a checkpoint or none; of others
        it is the first one's affair."""
        return self._ranks.of_first(answer) if self._weights.is_sharded else answer and self._ranks.is_first

    def _waited(self) -> float:
        return time.monotonic() - self._last


def _without_tensors(history: History) -> History:
    """The history as other ranks need it, without the tensors.

    It tells that there are best weights, which are the first rank's to put in place.
    """
    return replace(history, best_weights=None if history.best_weights is None else torch.empty(0))
