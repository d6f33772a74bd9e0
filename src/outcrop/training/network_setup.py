"""The network of a task made ready to be trained: which of its weights learn, and by which method.

A custom model that is trained further by its own method goes on where it ended. Another method begins on the network
that the custom model is: its adapter is merged into the base first (docs/decisions/0005).
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import Full, Method, read_adapter
from outcrop.training.examples import ADAPTER
from outcrop.training.task import TrainingTask


class TrainableNetwork(NamedTuple):
    """A network with the weights that learn, by one method."""

    network: nn.Module
    routing: Routing
    parameters: list[nn.Parameter]
    "Those that learn, each once."
    method: Method
    notes: tuple[str, ...]
    "What was understood otherwise than it may have been meant."


def prepare(task: TrainingTask) -> TrainableNetwork:
    """The network of the task with what it learns. Raises Invalid for a method that does not suit it."""
    network, routing, notes = frozen(task)
    return with_weights(task, network, routing, notes=notes)


class FrozenNetwork(NamedTuple):
    """The network that a task learns on, before there is anything that learns."""

    network: nn.Module
    routing: Routing
    notes: tuple[str, ...]


def frozen(task: TrainingTask) -> FrozenNetwork:
    """The network of the task, with a parent's adapter merged into it where another method begins on it."""
    method = task.hyper.method
    network = load.load_base(task.base_dir, trainable=isinstance(method, Full), way=task.way, open_file=task.keys.open)
    routing = linear.hold_adapters(network)
    notes = list(task.notes)
    if task.parent_adapter is not None and task.merges_parent:
        adapter_files.load(network, ADAPTER, task.parent_adapter, open_file=task.keys.open)
        linear.merge(network, ADAPTER)
        parent = read_adapter(task.parent_adapter)
        notes.append(f"the custom model's {parent.name} was merged into the base, since {method} begins on it")
    return FrozenNetwork(network, routing, tuple(notes))


def with_weights(
    task: TrainingTask,
    network: nn.Module,
    routing: Routing,
    *,
    notes: tuple[str, ...] = (),
    adapter: str = ADAPTER,
) -> TrainableNetwork:
    """The network with what the task learns on it: an adapter under that name, or the network itself."""
    method = task.hyper.method
    if task.parent_adapter is not None and not task.merges_parent:
        parent = read_adapter(task.parent_adapter)
        parameters = adapter_files.load(network, adapter, task.parent_adapter, trainable=True, open_file=task.keys.open)
        told = f"{replace(parent, targets=())}, from the custom model that is trained further"
        return TrainableNetwork(network, routing, parameters, parent, (*notes, told))
    if isinstance(method, Full):
        network.requires_grad_(True)
        return TrainableNetwork(network, routing, list(network.parameters()), method, notes)
    generator = torch.Generator().manual_seed(task.hyper.seed)
    parameters = adapter_files.add_new(network, adapter, method, generator)
    return TrainableNetwork(network, routing, parameters, method, notes)
