"""The weights that are trained, their optimizer, and nothing else that changes during a run.

An adapter is many small matrices. They are laid into one vector, and their gradients into another, so that the
optimizer, the clipping, and a checkpoint are a few operations on long vectors instead of hundreds on short ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from outcrop.training.ranks import Ranks


class TrainedWeights:
    """Parameters laid into one vector, with AdamW over it (Loshchilov and Hutter 2017, arXiv:1711.05101).

    Weight decay is for matrices: biases, norms and DoRA's magnitudes are no smaller for being better.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, weight_decay: float) -> None:
        self.vector = nn.Parameter(_laid_end_to_end(parameters))
        gradient = torch.zeros_like(self.vector)
        self.vector.grad = gradient
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = self.vector.data[start:end].view_as(parameter)
            # Autograd adds into a gradient that is there, so it never leaves this vector.
            parameter.grad = gradient[start:end].view_as(parameter)
            start = end
        self._gradient = gradient
        self._decay = weight_decay
        self._decaying = _neighbours(parameters)
        # The decay is ours, as it is not for all of the vector; the rest of AdamW is torch's.
        self._optimizer = torch.optim.AdamW([self.vector], lr=0.0, weight_decay=0.0, fused=True)

    def forget_gradient(self) -> None:
        self._gradient.zero_()

    def add_up_gradient(self, ranks: Ranks) -> None:
        """Over all ranks, in one message: every small matrix of an adapter lies in the one vector."""
        ranks.add_up(self._gradient)

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
        with torch.no_grad():
            self.vector.copy_(vector)

    def copy_first(self, ranks: Ranks) -> None:
        """Take over the first rank's weights and optimizer, whatever stood here."""
        ranks.copy_first(self.vector.data)
        state = self.optimizer_state()
        shapes = ranks.of_first({name: (tensor.shape, tensor.dtype) for name, tensor in state.items()})
        for name, (shape, dtype) in shapes.items():
            if not ranks.is_first:
                state[name] = torch.empty(shape, dtype=dtype, device=self.vector.device)
            ranks.copy_first(state[name])
        self.put_optimizer_state(state)

    def optimizer_state(self) -> dict[str, Tensor]:
        """Empty before the first update."""
        return dict(self._optimizer.state[self.vector])

    def put_optimizer_state(self, state: dict[str, Tensor]) -> None:
        self._optimizer.state[self.vector] = {name: tensor.to(self.vector.device) for name, tensor in state.items()}


def _laid_end_to_end(parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in parameters])


def _neighbours(parameters: Sequence[nn.Parameter]) -> list[tuple[int, int]]:
    """Where in the vector the matrices lie, as few stretches as there are."""
    found: list[tuple[int, int]] = []
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        if parameter.ndim >= 2:
            joins = bool(found) and found[-1][1] == start
            found[-1:] = [(found[-1][0], end)] if joins else [*found[-1:], (start, end)]
        start = end
    return found
