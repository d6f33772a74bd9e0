"""What a job will need on this machine: told with its plan, and refused, with a mend, where the memory is not there.

The worker asks, who has the data; the door has only bounds (memory.py).
"""

from outcrop.customization import memory
from outcrop.training import estimate, machine
from outcrop.training.data import Data
from outcrop.training.estimate import Estimate
from outcrop.training.task import TrainingTask


def of(model_id: str, task: TrainingTask, data: Data) -> Estimate:
    """Raises Invalid when the run cannot fit."""
    lengths = estimate.lengths_of(data)
    found = estimate.estimate(task.base_dir, lengths, task.hyper)
    estimate.check(model_id, found, task.base_dir, lengths, task.hyper, free=free_bytes())
    return found


def free_bytes() -> int:
    """Bytes that a run in this process may have: on a GPU its own, else what is available and what it has now."""
    on_gpu = estimate.free_on_gpu()
    return memory.available() + machine.resident_bytes() if on_gpu is None else on_gpu
