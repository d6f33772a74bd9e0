"""The weights that are trained, their optimizer, and nothing else that changes during a run.

An adapter is many small matrices. They are laid into one vector, and their gradients into another, so that the
optimizer, the clipping, and a checkpoint are a few operations on long vectors instead of hundreds on short ones.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.training.data_parallel.ranks import ALONE, Ranks


class TrainedWeights:
    """Parameters laid into one vector, with AdamW over it (Loshchilov and Hutter 2017, arXiv:1711.05101).

    Every rank holds them whole. What is put into them, on all ranks at once, is what the first one gives.

    Weight decay is for matrices: biases, norms and DoRA's magnitudes are no smaller for being better.
    """

    is_sharded = False

    def __init__(self, parameters: Sequence[nn.Parameter], *, weight_decay: float, ranks: Ranks = ALONE) -> None:
        self.vector = nn.Parameter(_laid_end_to_end(parameters))
        gradient = torch.zeros_like(self.vector)
        self.vector.grad = gradient
        for parameter, start, end in _places(parameters):
            parameter.data = self.vector.data[start:end].view_as(parameter)
            # Autograd adds into a gradient that is there, so it never leaves this vector.
            parameter.grad = gradient[start:end].view_as(parameter)
        self._parameters = list(parameters)
        self._gradient = gradient
        self._others: list[Tensor] = []
        self._ranks = ranks
        self._decay = weight_decay
        self._decaying = _neighbours(parameters)
        # The decay is ours, as it is not for all of the vector; the rest of AdamW is torch's.
        self._optimizer = torch.optim.AdamW([self.vector], lr=0.0, weight_decay=0.0, fused=True)

    @property
    def num_weights(self) -> int:
        return self.vector.numel()

    @property
    def num_bytes(self) -> int:
        return self.vector.nbytes

    @property
    def dtype(self) -> torch.dtype:
        return self.vector.dtype

    @property
    def device(self) -> torch.device:
        return self.vector.device

    def twins(self) -> dict[int, Any]:
        """Twins of the parameters, by their ids, with gradients apart until `add_up_gradient`.

        A twin has the same values in the same memory; its gradient goes into a vector of its own.
        """
        gradient = torch.zeros_like(self.vector)
        self._others.append(gradient)
        found: dict[int, Any] = {}
        for parameter, start, end in _places(self._parameters):
            found[id(parameter)] = twin = nn.Parameter(parameter.data)
            twin.grad = gradient[start:end].view_as(parameter)
        return found

    def forget_twins(self) -> None:
        """Drop the twins that were made; they are not used any more."""
        self._others.clear()

    def forget_gradient(self) -> None:
        for gradient in (self._gradient, *self._others):
            gradient.zero_()

    def add_up_gradient(self) -> None:
        """Over twins, and over all ranks in one message: every small matrix of an adapter lies in the one vector."""
        for gradient in self._others:
            self._gradient.add_(gradient)
        self._ranks.add_up(self._gradient)

    def clip(self, max_norm: float) -> float:
        """Scale the gradient down to `max_norm`; returns the norm it had."""
        norm = float(torch.linalg.vector_norm(self._gradient))
        if norm > max_norm:
            self._gradient.mul_(max_norm / norm)
        return norm

    def update(self, learning_rate: float) -> None:
        if self._decay:
            for start, end in self._decaying:
                self.vector.data[start:end].mul_(1 - learning_rate * self._decay)
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()

    def copy(self) -> Tensor:
        return self.vector.detach().clone()

    def put(self, vector: Tensor) -> None:
        if self._ranks.is_first:
            self.vector.data.copy_(vector)
        self._ranks.copy_first(self.vector.data)

    def optimizer_state(self) -> dict[str, Tensor]:
        """Empty before the first update."""
        return dict(self._optimizer.state[self.vector])

    def put_optimizer_state(self, state: dict[str, Tensor]) -> None:
        shapes = self._ranks.of_first({name: (tensor.shape, tensor.dtype) for name, tensor in state.items()})
        placed = {
            name: torch.empty(shape, dtype=dtype, device=self.vector.device) for name, (shape, dtype) in shapes.items()
        }
        for name, tensor in placed.items():
            if self._ranks.is_first:
                tensor.copy_(state[name])
            self._ranks.copy_first(tensor)
        self._optimizer.state[self.vector] = placed


class WeightsOfTrials:
    """The weights of trials that learn side by side: for each its own, with its own optimizer."""

    is_sharded = False

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.of: dict[str, TrainedWeights] = {}
        "By the name of the trial's adapter."

    def twins(self) -> dict[int, Any]:
        """Twins of every trial's parameters; see `TrainedWeights.twins`."""
        found: dict[int, Any] = {}
        for weights in self.of.values():
            found |= weights.twins()
        return found

    def forget_twins(self) -> None:
        for weights in self.of.values():
            weights.forget_twins()


def _laid_end_to_end(parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in parameters])


def _neighbours(parameters: Sequence[nn.Parameter]) -> list[tuple[int, int]]:
    """Where in the vector the matrices lie, as few stretches as there are."""
    found: list[tuple[int, int]] = []
    for parameter, start, end in _places(parameters):
        if parameter.ndim >= 2:
            joins = bool(found) and found[-1][1] == start
            found[-1:] = [(found[-1][0], end)] if joins else [*found[-1:], (start, end)]
    return found


def _places(parameters: Sequence[nn.Parameter]) -> Iterator[tuple[nn.Parameter, int, int]]:
    """The parameters, each with where it begins and ends in the vector."""
    start = 0
    for parameter in parameters:
        yield parameter, start, start + parameter.numel()
        start += parameter.numel()
