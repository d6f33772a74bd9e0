"""LoRA at one layer. Shapes: T tokens, I input width, O output width, R rank."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from outcrop.network.adapters.dropout import dropout
from outcrop.network.adapters.linear import Linear, PlacedUpdate, Update, like_of, weight_of
from outcrop.network.adapters.method import LoRA

A, B = "lora_A.weight", "lora_B.weight"
_Base: TypeAlias = tuple[Tensor, Tensor | None]
"A frozen layer's weight and bias."


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
        if not self.adds_in_place(x_BTI, base):
            return super().both(x_BTI, base)
        return several(x_BTI, [(base, [PlacedUpdate(0, x_BTI.shape[1], self)])])[0]

    def together(self, x_BTI: Tensor, placed: Sequence[PlacedUpdate], base: Linear) -> Tensor | None:
        return several(x_BTI, [(base, placed)])[0] if all_add_in_place(x_BTI, placed, base) else None

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


def all_add_in_place(x_BTI: Tensor, placed: Sequence[PlacedUpdate], base: Linear) -> bool:
    """Whether `several` knows these updates of a layer: there are some, and all are LoRA that adds in place."""
    return bool(placed) and all(
        isinstance(update, LoRAUpdate) and update.adds_in_place(x_BTI, base) for _, _, update in placed
    )


def several(x_BTI: Tensor, layers: Sequence[tuple[Linear, Sequence[PlacedUpdate]]]) -> list[Tensor]:
    """The outputs y_BTO of several LoRA layers for the same x; see `all_add_in_place` for when."""
    learnt, pieces = list[Tensor](), dict[tuple[int, int], list[_Part]]()
    for number, (_, placed) in enumerate(layers):
        for start, end, update in placed:
            assert isinstance(update, LoRAUpdate), "see all_add_in_place"
            part = _Part(layer=number, weights=len(learnt), rank=len(update.a_RI), scale=update.scale)
            pieces.setdefault((start, end), []).append(part)
            learnt += [update.a_RI, update.b_OR]
    bases = [(base.weight, base.bias) for base, _ in layers]
    found: tuple[Tensor, ...] = _Several.apply(x_BTI.squeeze(0), bases, pieces, *learnt)  # type: ignore[no-untyped-call]
    return [y_TO.unsqueeze(0) for y_TO in found]


class _Part(NamedTuple):
    """The update of one layer for the tokens of a piece."""

    layer: int
    weights: int
    "Where its A is among the weights that learn; B follows."
    rank: int
    scale: float


_Pieces: TypeAlias = Mapping[tuple[int, int], Sequence[_Part]]
"The stretches of a row, from token to token, each with what its tokens use."


class _Several(torch.autograd.Function):
    """Several LoRA layers on one input: W x + bias + scale · B A x of each, and back.

    The small products are added where the large ones stand: a tensor of its own for each is as slow to fill and to add
    as the product is to make. What layers that share x have of A is one product, and so is what x gets back through it.
    Of a row of several adapters each large product is one all the same; small ones are of their own tokens, C of them.
    S is the sum of the ranks.
    """

    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, bases: Sequence[_Base], pieces: _Pieces, *learnt: Tensor) -> tuple[Tensor, ...]:
        found = [
            x_TI @ weight_OI.T if bias_O is None else torch.addmm(bias_O, x_TI, weight_OI.T)
            for weight_OI, bias_O in bases
        ]
        kept = list[Tensor]()
        for (start, end), parts in pieces.items():
            a_SI = torch.cat([learnt[each.weights] for each in parts]) if len(parts) > 1 else learnt[parts[0].weights]
            narrow_CS = x_TI[start:end] @ a_SI.T
            for each, columns in zip(parts, _parts([each.rank for each in parts]), strict=True):
                y_CO, b_OR = found[each.layer][start:end], learnt[each.weights + 1]
                y_CO.addmm_(narrow_CS[:, columns].mul_(each.scale), b_OR.T)
            kept += [a_SI, narrow_CS]
        ctx.bases, ctx.pieces = bases, pieces
        ctx.save_for_backward(x_TI, *kept, *learnt[1::2])
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *dys: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, *saved = ctx.saved_tensors
        bs = saved[2 * len(ctx.pieces) :]
        dx_TI = None
        if ctx.needs_input_grad[0]:
            for dy_TO, (weight_OI, _) in zip(dys, ctx.bases, strict=True):
                dx_TI = dy_TO @ weight_OI if dx_TI is None else dx_TI.addmm_(dy_TO, weight_OI)
        grads = list[Tensor | None]([None] * (2 * len(bs)))
        for number, ((start, end), parts) in enumerate(ctx.pieces.items()):
            a_SI, narrow_CS = saved[2 * number : 2 * number + 2]
            dnarrow_CS = torch.empty_like(narrow_CS)
            for each, columns in zip(parts, _parts([each.rank for each in parts]), strict=True):
                dy_CO = dys[each.layer][start:end]
                torch.mm(dy_CO, bs[each.weights // 2], out=dnarrow_CS[:, columns]).mul_(each.scale)
                # The transposed product is made half again as fast as dy.T @ narrow.
                grads[each.weights + 1] = (narrow_CS[:, columns].T @ dy_CO).T
            for each, da_RI in zip(parts, (dnarrow_CS.T @ x_TI[start:end]).split([p.rank for p in parts]), strict=True):
                grads[each.weights] = da_RI
            if dx_TI is not None:
                dx_TI[start:end].addmm_(dnarrow_CS, a_SI)
        return dx_TI, None, None, *grads


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
