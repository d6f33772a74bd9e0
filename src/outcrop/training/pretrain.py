"""Continued pre-training: whole texts, every token of which is learned; long ones in consecutive sequences."""

from outcrop.training import loop
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask


def train(task: TrainingTask, hooks: Hooks) -> TrainingResult:
    """Run the task to its end, or to where it is asked to stop; see `loop.run`."""
    assert task.customization == "CONTINUED_PRE_TRAINING", "a task for the other stage"
    return loop.run(task, hooks)
