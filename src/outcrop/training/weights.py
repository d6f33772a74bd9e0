"""The weights that are trained, their optimizer, and nothing else that changes during a run.

An adapter is many small matrices. They are laid into one vector, and their gradients into another, so that the
optimizer, the clipping, and a checkpoint are a few operations on long vectors instead of hundreds on short ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TrainedWeights:
    """Parameters laid into one vector, with AdamW over it."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, weight_decay: float) -> None:
        self.vector = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
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
        self._optimizer = torch.optim.AdamW([self.vector], lr=0.0, weight_decay=weight_decay, fused=True)

    def forget_gradient(self) -> None:
        self._gradient.zero_()

    def clip(self, max_norm: float) -> float:
        """Scale the gradient down to `max_norm`; returns the norm it had."""
        norm = float(torch.linalg.vector_norm(self._gradient))
        if norm > max_norm:
            self._gradient.mul_(max_norm / norm)
        return norm

    def update(self, learning_rate: float) -> None:
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()

    def copy(self) -> Tensor:
        return self.vector.detach().clone()

    def put(self, vector: Tensor) -> None:
        with torch.no_grad():
            self.vector.copy_(vector)

    def optimizer_state(self) -> dict[str, Tensor]:
        """Empty before the first update."""
        return dict(self._optimizer.state[self.vector])

    def put_optimizer_state(self, state: dict[str, Tensor]) -> None:
        self._optimizer.state[self.vector] = dict(state)
