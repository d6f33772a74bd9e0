"""Muon in 32-bit floats: momentum made orthogonal, for the hidden matrices of the network.

torch.optim.Muon orthogonalizes in bfloat16, which a CPU without bfloat16 units only emulates; here matrices of one
shape are stacked and multiplied together in float32.
Source: Keller Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/ ; scaling by 0.2 sqrt(max(rows, columns))
from Liu et al. 2025, arXiv:2502.16982, so that AdamW's weight decay and magnitudes of learning rate carry over.
"""

from collections.abc import Iterable

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Updates 2-D parameters only; `lr` is the root mean square of an update divided by 0.2, as for AdamW."""

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
    ) -> None:
        parameters = sorted(matrices, key=lambda matrix: matrix.shape)
        assert all(matrix.ndim == 2 for matrix in parameters), "Muon is for matrices"
        shapes = sorted({matrix.shape for matrix in parameters})
        groups = [{"params": [matrix for matrix in parameters if matrix.shape == shape]} for shape in shapes]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 (torch's own signature)
        for group in self.param_groups:
            for matrix in group["params"]:
                if "momentum" not in self.state[matrix]:
                    self.state[matrix]["momentum"] = torch.zeros_like(matrix)
            averages = [self.state[matrix]["momentum"] for matrix in group["params"]]
            gradients = [matrix.grad for matrix in group["params"]]
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
            nesterov = torch._foreach_lerp(gradients, averages, group["momentum"])
            updates = orthogonal(torch.stack(list(nesterov)))
            scale = 0.2 * max(updates.shape[-2:]) ** 0.5
            for matrix, update in zip(group["params"], updates, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrices_NIO: torch.Tensor) -> torch.Tensor:
    """The matrices with all singular values brought near 1."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices_NIO.mT if matrices_NIO.shape[-2] > matrices_NIO.shape[-1] else matrices_NIO
    x: torch.Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal_NIO: torch.Tensor = x.mT if wide is not matrices_NIO else x
    return orthogonal_NIO
