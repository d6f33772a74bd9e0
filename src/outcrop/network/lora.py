"""LoRA at one layer. Shapes: T tokens, I input width, O output width, R rank."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from outcrop.network.adapters import Linear, weight_of
from outcrop.network.method import LoRA
from outcrop.network.noise import dropout

A, B = "lora_A.weight", "lora_B.weight"


@dataclass(frozen=True, kw_only=True, eq=False)
class LowRank:
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
