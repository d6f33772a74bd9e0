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
from outcrop.training.loss import ADAPTER
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
    method = task.hyper.method
    network = load.load_base(task.base_dir, trainable=isinstance(method, Full), way=task.way)
    routing = linear.hold_adapters(network)
    notes = list(task.notes)
    if task.parent_adapter is not None:
        parent = read_adapter(task.parent_adapter)
        if not task.merges_parent:
            parameters = adapter_files.load(network, ADAPTER, task.parent_adapter, trainable=True)
            notes.append(f"{replace(parent, targets=())}, from the custom model that is trained further")
            return TrainableNetwork(network, routing, parameters, parent, tuple(notes))
        adapter_files.load(network, ADAPTER, task.parent_adapter)
        linear.merge(network, ADAPTER)
        notes.append(f"the custom model's {parent.name} was merged into the base, since {method} begins on it")
    if isinstance(method, Full):
        network.requires_grad_(True)
        return TrainableNetwork(network, routing, list(network.parameters()), method, tuple(notes))
    generator = torch.Generator().manual_seed(task.hyper.seed)
    parameters = adapter_files.add_new(network, ADAPTER, method, generator)
    return TrainableNetwork(network, routing, parameters, method, tuple(notes))
