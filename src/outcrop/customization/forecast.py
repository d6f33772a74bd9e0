"""The needs of a job on this machine, told with its plan and in the preflight report.

Where the memory is not there, the job is refused, with a mend.

The worker asks, who has the data; the door has only bounds (memory.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from outcrop.customization import predictions, prices
from outcrop.datasets.report.value import Price, RunForecast
from outcrop.machine import memory
from outcrop.network.run_mode import RunMode
from outcrop.training.data import TrainingData
from outcrop.training.estimate import fitting, machine, requirements
from outcrop.training.estimate.requirements import Estimate, Lengths
from outcrop.training.estimate.tracing import Untraceable
from outcrop.training.task import TrainingHyper, TrainingTask


class RunNeed(NamedTuple):
    """The needs of a run, or why they are not known."""

    estimate: Estimate | None
    note: str
    lengths: Lengths

    @property
    def text(self) -> str:
        """Lines for the plan."""
        return f"note         {self.note}" if self.estimate is None else self.estimate.to_text()


def foreseen(model_id: str, task: TrainingTask, data: TrainingData, *, reserve: Callable[[int], None]) -> RunNeed:
    """The needs of a run. `reserve` waits for that many bytes. Raises Invalid when the run cannot fit."""
    lengths = requirements.lengths_of(data)
    need = estimated(task.base_dir, lengths, task.hyper, task.way)
    if need.estimate is None:
        reserve(0)  # what was asked for at the start has to do
        return need
    if requirements.free_on_gpu() is None:
        reserve(need.estimate.memory.total)
    fitting.check(model_id, need.estimate, task.base_dir, lengths, task.hyper, free=free_bytes(), way=task.way)
    return need


def estimated(folder: Path, lengths: Lengths, hyper: TrainingHyper, way: RunMode) -> RunNeed:
    """The needs of a run that is not begun."""
    try:
        return RunNeed(requirements.estimate(folder, lengths, hyper, way=way), "", lengths)
    except Untraceable as unknown:
        return RunNeed(None, unknown.message, lengths)


def for_report(home: Path, base_id: str, need: RunNeed, hyper: TrainingHyper) -> RunForecast:
    """The needs as the preflight report tells them, with the price and how right predictions were."""
    found, tokens = need.estimate, sum(need.lengths.training) * hyper.epochs
    price = prices.price_of(home, base_id, tokens=tokens, seconds=None if found is None else found.seconds)
    return RunForecast(
        why_not=need.note,
        method=str(hyper.method),
        epochs=hyper.epochs,
        steps=0 if found is None else found.steps,
        rows=0 if found is None else found.rows,
        row_tokens=0 if found is None else found.row_tokens,
        trained_tokens=tokens,
        seconds=0.0 if found is None else found.seconds,
        memory_bytes=0 if found is None else found.memory.total,
        free_bytes=free_bytes(),
        past=predictions.past_error(home),
        price=price if isinstance(price, Price) else None,
        no_price=price if isinstance(price, str) else "",
    )


def free_bytes() -> int:
    """Bytes that a run in this process may have.

    On a GPU they are its own, else what is available and what it has now.
    """
    on_gpu = requirements.free_on_gpu()
    return memory.available() + machine.resident_bytes() if on_gpu is None else on_gpu
