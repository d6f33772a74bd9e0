"""Fine-tuning: prompts with completions, or conversations; only what the model should say is learned."""

from outcrop.training import loop
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask


def train(task: TrainingTask, hooks: Hooks) -> TrainingResult:
    """Run the task to its end, or to where it is asked to stop; see `loop.run`."""
    assert task.customization == "FINE_TUNING", "a task for the other stage"
    return loop.run(task, hooks)
