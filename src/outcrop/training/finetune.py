"""Fine-tuning: prompts with completions, or conversations; only what the model should say is learned."""

from outcrop.training.data_parallel import launch
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask


def train(task: TrainingTask, hooks: Hooks, *, devices: int = 1) -> TrainingResult:
    """Run the task to its end, or to where it is asked to stop; see `loop.run` and, of several devices, `crew.run`."""
    assert task.customization == "FINE_TUNING", "a task for the other stage"
    return launch.run(task, hooks, devices=devices)
