"""The least memory that a training run needs, and whether this machine has it. It is asked before a job is accepted.

Arithmetic over the headers of the model's files; no tensor is touched, and no record is read. What rows take on top is
known to the worker, who has the data and refuses what does not fit before anything is loaded (forecast.py).
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.customization import base
from outcrop.customization.choices import initialize, methods
from outcrop.customization.choices.initialize import RandomStart
from outcrop.errors import Invalid, Refusal
from outcrop.network import facts, headers
from outcrop.network.adapters.method import OFT, Full, LoRA, Method, is_target
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource

if TYPE_CHECKING:
    from outcrop.customization.rooms import Rooms
    from outcrop.jobs.running import RunningJob

_log = logging.getLogger("outcrop.worker")
_COPIES = 6
"Of what is trained, beside itself: its gradient, two moments, and a checkpoint's three."
_PROCESS_BYTES = 350_000_000
"Interpreter, torch and transformers before they do anything."
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Need:
    """Memory that a run has at once, whatever its rows, in bytes."""

    weights: int
    trained: int
    "What comes with the weights that learn: an adapter's own, gradient, optimizer, and a checkpoint."

    @property
    def total(self) -> int:
        return _PROCESS_BYTES + self.weights + self.trained


def need(folder: Path, *, method: Method, start: RandomStart | None = None) -> Need:
    """Memory to train the model in `folder` by `method`, or a network of its kind that begins at random."""
    num_parameters = headers.num_parameters(folder) if start is None else start.num_parameters(folder)
    if isinstance(method, Full):
        return need_of_size(num_parameters, method=method)
    chosen = [shape for name, shape in headers.linear_layers(folder).items() if is_target(name, method.targets)]
    return Need(weights=num_parameters * 4, trained=_num_trained(chosen, method) * 4 * (1 + _COPIES))


def need_of_size(num_parameters: int, *, method: Method) -> Need:
    """Memory to train a network of which its size alone is known. An adapter's own, which is small, is left out."""
    copies = _COPIES if isinstance(method, Full) else 0
    return Need(weights=num_parameters * 4, trained=num_parameters * 4 * copies)


def reserved(house: "Rooms", job: "RunningJob") -> AbstractContextManager[None]:
    """Holds the memory of a job's run. Entering waits for room, or until the job or its worker is to stop."""
    record = job.record

    def waits(sentence: str) -> None:
        logs.tell(_log, "job waits for memory", job=job.arn, note=sentence)

    return house.sharing.held(
        job.arn,
        f"the training {record.name}",
        least_for(house.catalog, house.models, record),
        until=lambda: job.interrupted() or job.is_stopping(),
        waits=waits,
    )


def least_for(catalog: Catalog, models: CustomModels, job: Resource) -> int:
    """Bytes that a job on record needs at least; one that cannot be run takes a process to say so."""
    try:
        with understood(job.arn):
            start = base.of_job(catalog, models, job)
            values = job.document["hyperParameters"]
            method = methods.method_of(values, start.method)
            assert start.base.folder is not None
            return need(start.base.folder, method=method, start=initialize.random_start(values)).total
    except (Refusal, Damaged):
        return _PROCESS_BYTES


def _num_trained(shapes: list[tuple[int, ...]], method: LoRA | OFT) -> int:
    """The least number of parameters that a run trains.

    Of a rotation, blocks may be chosen a little narrower than asked for, so half of it is sure.
    """
    if isinstance(method, OFT):
        return sum(min(shape) * (method.block_size - 1) // 4 for shape in shapes)
    return sum(method.rank * sum(shape) for shape in shapes)


def check(model_id: str, wanted: Need, free: int) -> None:
    """Raises Invalid, saying what to change, when a run cannot fit."""
    if wanted.total <= free:
        return
    other = "another outcrop.method or " if wanted.trained > wanted.weights else ""
    raise Invalid(
        f"{model_id}: training needs at least {wanted.total / _GIB:.1f} GiB ({wanted.weights / _GIB:.1f} "
        f"for the weights, {wanted.trained / _GIB:.1f} for what is trained) beside its rows, and this machine has "
        f"{free / _GIB:.1f} GiB free. Free some memory, or choose {other}a smaller base model."
    )


def suitable_rate(model: BaseModel, start: RandomStart | None) -> float:
    """A learning rate that suits LoRA on the model, or the random weights that a job begins with."""
    assert model.folder is not None
    if start is not None:
        return start.learning_rate(model.folder)
    return model.learning_rate or recommended_rate(model.folder)


def recommended_rate(folder: Path) -> float:
    """A learning rate that suits LoRA on this network: 2e-4 at a width of 2,048, more for narrower ones."""
    return float(min(3e-3, max(5e-5, 2e-4 * 2048 / facts.read(folder).width)))
