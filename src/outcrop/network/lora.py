"""LoRA at one layer. Shapes: T tokens, I input width, O output width, R rank."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from outcrop.network.adapters import Linear, Update, weight_of
from outcrop.network.method import LoRA
from outcrop.network.noise import dropout

A, B = "lora_A.weight", "lora_B.weight"


@dataclass(frozen=True, kw_only=True, eq=False)
class LowRank(Update):
    """y + scale · x Aᵀ Bᵀ. Kept in fp32 while it is trained, also beside a base in bf16."""

    a_RI: Tensor
    b_OR: Tensor
    scale: float
    dropout: float = 0.0

    def before(self, x_BTI: Tensor) -> Tensor:
        return x_BTI

    def after(self, x_BTI: Tensor, y_BTO: Tensor, base: Linear) -> Tensor:
        del base
        return y_BTO + self.product(self.seen(x_BTI)).to(y_BTO.dtype)

    def both(self, x_BTI: Tensor, base: Linear) -> Tensor:
        if not self._adds_in_place(x_BTI, base):
            return super().both(x_BTI, base)
        arguments = (x_BTI.squeeze(0), base.weight, base.bias, self.a_RI, self.b_OR, self.scale)
        y_TO: Tensor = _Both.apply(*arguments)  # type: ignore[no-untyped-call]
        return y_TO.unsqueeze(0)

    def _adds_in_place(self, x_BTI: Tensor, base: Linear) -> bool:
        """Whether `_Both` says it: a row on a CPU, all in one precision, learned from as it is."""
        return (
            torch.is_grad_enabled()
            and not self.dropout
            and x_BTI.shape[0] == 1
            and x_BTI.device.type == "cpu"
            and isinstance(base, nn.Linear)
            and base.weight.dtype == x_BTI.dtype == self.a_RI.dtype
            and not base.weight.requires_grad
        )

    def seen(self, x_BTI: Tensor) -> Tensor:
        """What of x the update sees: all of it, but where gradients are recorded and some of it is dropped."""
        return dropout(x_BTI, self.dropout) if self.dropout and torch.is_grad_enabled() else x_BTI

    def product(self, x_BTI: Tensor) -> Tensor:
        # The scale meets the R numbers of a token rather than its O: a tenth of a training step went there.
        narrow_BTR = (x_BTI.to(self.a_RI.dtype) @ self.a_RI.T) * self.scale
        return narrow_BTR @ self.b_OR.T

    def weight(self) -> Tensor:
        """scale · B A, of shape OI."""
        return (self.b_OR * self.scale) @ self.a_RI

    def parameters(self) -> dict[str, nn.Parameter]:
        assert isinstance(self.a_RI, nn.Parameter), "what is served has no parameters"
        assert isinstance(self.b_OR, nn.Parameter), "what is served has no parameters"
        return {A: self.a_RI, B: self.b_OR}

    def served(self, base: Linear) -> "LowRank":
        like = base.weight
        return replace(self, a_RI=self.a_RI.detach().to(like), b_OR=self.b_OR.detach().to(like), dropout=0.0)

    def merged(self, base: Linear) -> Tensor:
        return weight_of(base).float() + self.weight()


class _Both(torch.autograd.Function):
    """W x + bias + scale · B A x, and back, with the small products added where the large ones stand: a tensor of
    its own for each is as slow to fill and to add as the product is to make."""

    @staticmethod
    def forward(
        ctx: Any, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, a_RI: Tensor, b_OR: Tensor, scale: float
    ) -> Tensor:
        narrow_TR = (x_TI @ a_RI.T).mul_(scale)
        y_TO = x_TI @ weight_OI.T if bias_O is None else torch.addmm(bias_O, x_TI, weight_OI.T)
        ctx.scale = scale
        ctx.save_for_backward(x_TI, weight_OI, a_RI, b_OR, narrow_TR)
        return y_TO.addmm_(narrow_TR, b_OR.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_TO: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI, a_RI, b_OR, narrow_TR = ctx.saved_tensors
        dnarrow_TR = (dy_TO @ b_OR).mul_(ctx.scale)
        # The transposed product is made half again as fast as dy.T @ narrow.
        da_RI, db_OR = dnarrow_TR.T @ x_TI, (narrow_TR.T @ dy_TO).T
        dx_TI = (dy_TO @ weight_OI).addmm_(dnarrow_TR, a_RI) if ctx.needs_input_grad[0] else None
        return dx_TI, None, None, da_RI, db_OR, None


def fresh(base: Linear, method: LoRA, generator: torch.Generator) -> LowRank:
    """A random, B zero, so a fresh adapter changes nothing."""
    num_outputs, num_inputs = weight_of(base).shape
    place = base.weight.device
    bound = 1 / math.sqrt(num_inputs)  # what PEFT draws A from: kaiming_uniform(a=√5)
    # Drawn on the CPU whatever the device, so that a seed means the same everywhere.
    random_RI = (torch.rand(method.rank, num_inputs, generator=generator) * 2 - 1) * bound
    return LowRank(
        a_RI=nn.Parameter(random_RI.to(place)),
        b_OR=nn.Parameter(torch.zeros(num_outputs, method.rank, device=place)),
        scale=method.scale,
        dropout=method.dropout,
    )
