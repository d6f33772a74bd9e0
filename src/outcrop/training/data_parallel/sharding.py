"""Fully sharded data parallelism: each rank keeps a part of every layer's weights, gradients and optimizer state.

A layer's weights are gathered when the layer is computed and given back after it, by torch's `fully_shard`; source:
Rajbhandari et al. 2020, ZeRO, arXiv:1910.02054, stage 3. Every pass is a common one: all ranks make as many.

What is no layer (embeddings, head, the last norm) stays whole on every rank, so that a loss may use the head apart from
the network; its gradients are added up as an adapter's are.

To the rest of the workshop the weights are the same one vector as `TrainedWeights`', so that checkpoints fit either.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from outcrop.training.data_parallel.ranks import Ranks
from outcrop.training.network_setup import TrainableNetwork, prepare
from outcrop.training.task import TrainingTask

_MOMENTS = ("exp_avg", "exp_avg_sq")


def whole(weights: "ShardedWeights", task: TrainingTask) -> TrainableNetwork | None:
    """The network once more, whole, as it is to be saved: on the first rank; None on the others. On all at once."""
    vector = weights.copy()
    if not weights.ranks.is_first:
        return None
    trainable = prepare(task)
    start = 0
    for parameter in trainable.parameters:
        end = start + parameter.numel()
        parameter.data.copy_(vector[start:end].view_as(parameter))
        start = end
    return trainable


class ShardedWeights:
    """Weights split between ranks, with the interface of `TrainedWeights`.

    They are the parameters of `network`, which is split when this is made.

    `copy`, `put` and the optimizer's state are asked for on all ranks at once; the first alone gets, and gives, values.
    """

    is_sharded = True

    def __init__(self, network: nn.Module, *, weight_decay: float, ranks: Ranks) -> None:
        self.ranks = ranks
        self._decay = weight_decay
        self.dtype = next(network.parameters()).dtype
        _split(network, ranks)
        self._parameters = list(network.parameters())
        self._shapes = [parameter.shape for parameter in self._parameters]
        self._split = [parameter for parameter in self._parameters if _is_split(parameter)]
        self._whole = [parameter for parameter in self._parameters if not _is_split(parameter)]
        # Two groups: torch updates the tensors of a group together, and these two kinds do not mix.
        groups = [{"params": self._split}, {"params": self._whole}]
        self._optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)

    @property
    def num_weights(self) -> int:
        return sum(shape.numel() for shape in self._shapes)

    @property
    def num_bytes(self) -> int:
        return self.num_weights * self.dtype.itemsize

    def forget_gradient(self) -> None:
        self._optimizer.zero_grad()

    def add_up_gradient(self) -> None:
        """Add up, over all ranks, the gradients of parameters that are not split.

        Each backward pass has added up the others.
        """
        for gradient in _gradients(self._whole):
            self.ranks.add_up(gradient)

    def clip(self, max_norm: float) -> float:
        """Scale the gradient down to `max_norm`; returns the norm it had on all ranks together."""
        split, all_alike = _gradients(self._split), _gradients(self._whole)
        norm = math.sqrt(self.ranks.sum(_squared(split)) + _squared(all_alike))
        if norm > max_norm:
            for gradient in [*split, *all_alike]:
                gradient.mul_(max_norm / norm)
        return norm

    def update(self, learning_rate: float) -> None:
        if self._decay:
            for parameter in self._parameters:
                if parameter.ndim >= 2:
                    _local(parameter.data).mul_(1 - learning_rate * self._decay)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()

    def copy(self) -> Tensor:
        """The whole vector, on the CPU of the first rank; nothing on the others."""
        return self._gathered([parameter.data for parameter in self._parameters])

    def put(self, vector: Tensor) -> None:
        self._spread(vector, [parameter.data for parameter in self._parameters])

    def optimizer_state(self) -> dict[str, Tensor]:
        """Empty before the first update."""
        states = [self._optimizer.state[parameter] for parameter in self._parameters]
        if not states[0]:
            return {}
        moments = {name: self._gathered([state[name] for state in states]) for name in _MOMENTS}
        return {"step": states[0]["step"], **moments}

    def put_optimizer_state(self, state: dict[str, Tensor]) -> None:
        step = self.ranks.of_first(float(state["step"]) if state else None)
        if step is None:
            return
        for parameter in self._parameters:
            self._optimizer.state[parameter] = {
                "step": torch.tensor(step),
                **{name: torch.zeros_like(parameter.data) for name in _MOMENTS},
            }
        for name in _MOMENTS:
            empty = torch.empty(0)
            self._spread(state.get(name, empty), [self._optimizer.state[p][name] for p in self._parameters])

    def _gathered(self, parts: Sequence[Any]) -> Tensor:
        whole = []
        for part in parts:
            full = part.full_tensor() if _is_split(part) else part
            if self.ranks.is_first:
                whole.append(full.flatten().to("cpu", copy=True))
        return torch.cat(whole) if whole else torch.empty(0)

    def _spread(self, vector: Tensor, parts: Sequence[Any]) -> None:
        """Give each rank its part of the first one's `vector`, one tensor after the other."""
        start = 0
        for part, shape in zip(parts, self._shapes, strict=True):
            end = start + shape.numel()
            mine = _local(part)
            full = torch.empty(shape, dtype=mine.dtype, device=mine.device)
            if self.ranks.is_first:
                full.copy_(vector[start:end].view(shape))
            self.ranks.copy_first(full)
            chunks = torch.chunk(full, self.ranks.size) if _is_split(part) else [full] * self.ranks.size
            if self.ranks.rank < len(chunks):
                mine.copy_(chunks[self.ranks.rank])
            start = end


def _split(network: Any, ranks: Ranks) -> None:
    """Layer by layer; the decoder around them lets one layer be gathered while the one before is computed."""
    group = ranks.between_gpus or dist.group.WORLD
    assert group is not None, "ranks have joined"
    mesh = DeviceMesh.from_group(group, next(network.parameters()).device.type)
    decoder = network.get_decoder()
    layers = max((m for m in decoder.modules() if isinstance(m, nn.ModuleList)), key=len)
    beside = set(network.parameters()) - set(layers.parameters())
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(decoder, mesh=mesh, ignored_params=beside)
    for module in decoder.modules():
        if isinstance(module, FSDPModule):
            # Sums: the loss of each rank is divided by the tokens of all already.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def _is_split(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor)


def _local(tensor: Any) -> Tensor:
    """The part of a split tensor that lies on this rank, and all of another; not a copy."""
    part: Tensor = tensor.to_local() if _is_split(tensor) else tensor
    return part


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [_local(parameter.grad) for parameter in parameters]


def _squared(tensors: Sequence[Tensor]) -> float:
    return sum(float(torch.linalg.vector_norm(tensor)) ** 2 for tensor in tensors)
