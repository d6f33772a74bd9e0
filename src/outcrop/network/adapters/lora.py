"""LoRA at one layer. Shapes: T tokens, I input width, O output width, R rank."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from outcrop.network.adapters.dropout import dropout
from outcrop.network.adapters.linear import Linear, Update, like_of, weight_of
from outcrop.network.adapters.method import LoRA

A, B = "lora_A.weight", "lora_B.weight"
_Base: TypeAlias = tuple[Tensor, Tensor | None, float]
"A frozen layer's weight and bias, and the scale of what is added."


@dataclass(frozen=True, kw_only=True, eq=False)
class LoRAUpdate(Update):
    """A LoRA update at one layer, y + scale · x Aᵀ Bᵀ. Kept in fp32 while it is trained, also beside a base in bf16."""

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
        return several(x_BTI, [(base, self)])[0] if self.adds_in_place(x_BTI, base) else super().both(x_BTI, base)

    def adds_in_place(self, x_BTI: Tensor, base: Linear) -> bool:
        """Whether `several` says it: a row on a CPU, all in one precision, learned from as it is."""
        return (
            torch.is_grad_enabled()
            and not self.dropout
            and x_BTI.ndim == 3
            and x_BTI.shape[0] == 1
            and x_BTI.device.type == "cpu"
            and isinstance(base, nn.Linear)
            and base.weight.dtype == x_BTI.dtype == self.a_RI.dtype
            and not base.weight.requires_grad
        )

    def seen(self, x_BTI: Tensor) -> Tensor:
        """The part of x that the update sees.

        It is all of x, but where gradients are recorded and some of it is dropped.
        """
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

    def served(self, base: Linear) -> "LoRAUpdate":
        like = like_of(base)
        return replace(self, a_RI=self.a_RI.detach().to(like), b_OR=self.b_OR.detach().to(like), dropout=0.0)

    def merged(self, base: Linear) -> Tensor:
        return weight_of(base).float() + self.weight()


def several(x_BTI: Tensor, layers: Sequence[tuple[Linear, LoRAUpdate]]) -> list[Tensor]:
    """The outputs y_BTO of several LoRA layers for the same x; see `LoRAUpdate.adds_in_place` for when."""
    bases = [(base.weight, base.bias, update.scale) for base, update in layers]
    learnt = [tensor for _, update in layers for tensor in (update.a_RI, update.b_OR)]
    found: tuple[Tensor, ...] = _Several.apply(x_BTI.squeeze(0), bases, *learnt)  # type: ignore[no-untyped-call]
    return [y_TO.unsqueeze(0) for y_TO in found]


class _Several(torch.autograd.Function):
    """Several LoRA layers on one input: W x + bias + scale · B A x of each, and back.

    The small products are added where the large ones stand: a tensor of its own for each is as slow to fill and to add
    as the product is to make. What layers that share x have of A is one product, and so is what x gets back through it.
    S is the sum of the ranks.
    """

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, bases: Sequence[_Base], *learnt: Tensor) -> tuple[Tensor, ...]:
        a_SI = torch.cat(learnt[::2]) if len(bases) > 1 else learnt[0]
        parts = _parts([len(a_RI) for a_RI in learnt[::2]])
        narrow_TS = x_TI @ a_SI.T
        found = list[Tensor]()
        for (weight_OI, bias_O, scale), b_OR, part in zip(bases, learnt[1::2], parts, strict=True):
            y_TO = x_TI @ weight_OI.T if bias_O is None else torch.addmm(bias_O, x_TI, weight_OI.T)
            found.append(y_TO.addmm_(narrow_TS[:, part].mul_(scale), b_OR.T))
        ctx.bases, ctx.parts = bases, parts
        ctx.save_for_backward(x_TI, a_SI, narrow_TS, *learnt[1::2])
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *dys: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, a_SI, narrow_TS, *bs = ctx.saved_tensors
        dnarrow_TS, dx_TI = torch.empty_like(narrow_TS), None
        dbs = list[Tensor]()
        for dy_TO, (weight_OI, _, scale), b_OR, part in zip(dys, ctx.bases, bs, ctx.parts, strict=True):
            torch.mm(dy_TO, b_OR, out=dnarrow_TS[:, part]).mul_(scale)
            # The transposed product is made half again as fast as dy.T @ narrow.
            dbs.append((narrow_TS[:, part].T @ dy_TO).T)
            if ctx.needs_input_grad[0]:
                dx_TI = dy_TO @ weight_OI if dx_TI is None else dx_TI.addmm_(dy_TO, weight_OI)
        das = (dnarrow_TS.T @ x_TI).split([part.stop - part.start for part in ctx.parts])
        if dx_TI is not None:
            dx_TI.addmm_(dnarrow_TS, a_SI)
        return dx_TI, None, *itertools.chain.from_iterable(zip(das, dbs, strict=True))


def _parts(ranks: Sequence[int]) -> list[slice]:
    ends = list(itertools.accumulate(ranks))
    return [slice(end - rank, end) for end, rank in zip(ends, ranks, strict=True)]


def fresh(base: Linear, method: LoRA, generator: torch.Generator) -> LoRAUpdate:
    """A random, B zero, so a fresh adapter changes nothing."""
    num_outputs, num_inputs = weight_of(base).shape
    place = base.weight.device
    bound = 1 / math.sqrt(num_inputs)  # what PEFT draws A from: kaiming_uniform(a=√5)
    # Drawn on the CPU whatever the device, so that a seed means the same everywhere.
    random_RI = (torch.rand(method.rank, num_inputs, generator=generator) * 2 - 1) * bound
    return LoRAUpdate(
        a_RI=nn.Parameter(random_RI.to(place)),
        b_OR=nn.Parameter(torch.zeros(num_outputs, method.rank, device=place)),
        scale=method.scale,
        dropout=method.dropout,
    )
