"""Continued pre-training: whole texts, every token of which is learned; long ones in consecutive sequences."""

from outcrop.training.data_parallel import launch
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask


def train(task: TrainingTask, hooks: Hooks, *, devices: int = 1) -> TrainingResult:
    """Run the task to its end, or to where it is asked to stop; see `loop.run` and, of several devices, `crew.run`."""
    assert task.customization == "CONTINUED_PRE_TRAINING", "a task for the other stage"
    return launch.run(task, hooks, devices=devices)
