"""The needs of a job on this machine, told with its plan.

Where the memory is not there, the job is refused, with a mend.

The worker asks, who has the data; the door has only bounds (memory.py).
"""

from collections.abc import Callable

from outcrop.machine import memory
from outcrop.training.data import TrainingData
from outcrop.training.estimate import fitting, machine, requirements
from outcrop.training.estimate.tracing import Untraceable
from outcrop.training.task import TrainingTask


def told(model_id: str, task: TrainingTask, data: TrainingData, *, reserve: Callable[[int], None]) -> str:
    """Lines for the plan. `reserve` waits for that many bytes. Raises Invalid when the run cannot fit."""
    lengths = requirements.lengths_of(data)
    try:
        found = requirements.estimate(task.base_dir, lengths, task.hyper, way=task.way)
    except Untraceable as unknown:
        reserve(0)  # what was asked for at the start has to do
        return f"note         {unknown.message}"
    if requirements.free_on_gpu() is None:
        reserve(found.memory.total)
    fitting.check(model_id, found, task.base_dir, lengths, task.hyper, free=free_bytes(), way=task.way)
    return found.to_text()


def free_bytes() -> int:
    """Bytes that a run in this process may have.

    On a GPU they are its own, else what is available and what it has now.
    """
    on_gpu = requirements.free_on_gpu()
    return memory.available() + machine.resident_bytes() if on_gpu is None else on_gpu
