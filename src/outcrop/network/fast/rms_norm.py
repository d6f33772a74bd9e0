"""The norm of most networks, x / sqrt(mean(x²) + eps) · weight, with a backward pass of its own.

Left to autograd it is a dozen operations each way, each of which reads and writes all of x.
Source: Zhang and Sennrich 2019, arXiv:1910.07467, section 4; the gradient follows from it.
Shapes: T tokens, H hidden width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from outcrop.network import swaps
from outcrop.network.fast.kernels.library import Library
from outcrop.network.fast.kernels.use import address, usable

_CLOSE = 1e-5
"How far this may be from a norm's own answer, as a share of its largest number."
_SUMMED = 4096
"Rows whose gradients of a weight are added up one by one."
_EPSILON = ("variance_epsilon", "eps")


class _FastNorm:
    """A norm with our forward and backward pass."""

    weight: nn.Parameter
    added: float
    "To the weight: some keep what theirs differs from 1 by."

    def forward(self, hidden_states: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return super().forward(hidden_states)  # type: ignore[misc,no-any-return]
        return normed(hidden_states, self.weight, self.added, _epsilon(self))


def swap_in(network: nn.Module) -> int:
    """Make a network's norms cheaper in training, on a CPU in fp32; returns how many norms were changed."""
    found = [module for module in network.modules() if _is_norm(module)]
    known: dict[type, float | None] = {}
    for norm in found:
        own = type(norm)
        if own not in known:
            known[own] = next((added for added in (0.0, 1.0) if _answers_alike(norm, added)), None)
            if known[own] is None:
                swaps.RMS_NORM.demand(own, "computes other numbers")
        if known[own] is not None:
            swaps.put_before(norm, _FastNorm, added=known[own])
    return sum(isinstance(norm, _FastNorm) for norm in found)


def normed(x: Tensor, weight_H: Tensor, added: float, epsilon: float) -> Tensor:
    """x of any shape that ends in H, normed and times weight + added."""
    y: Tensor = _RMSNorm.apply(x, weight_H, added, epsilon)  # type: ignore[no-untyped-call]
    return y


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_H: Tensor, added: float, epsilon: float) -> Tensor:
        fits = x.is_contiguous() and weight_H.is_contiguous() and weight_H.shape == x.shape[-1:]
        ctx.added, ctx.kernels = added, usable(x, weight_H) if fits else None
        if ctx.kernels:
            y, scale = torch.empty_like(x), x.new_empty(*x.shape[:-1], 1)
            ctx.kernels.norm(*_size(x), address(x), address(weight_H), added, epsilon, address(y), address(scale))
            ctx.save_for_backward(x, weight_H, scale)
            return y
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight_H, scale)
        found: Tensor = (x * scale).mul_(_gain(weight_H, added))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_H, scale = ctx.saved_tensors
        if ctx.kernels:
            return (
                *_back(ctx.kernels, x, weight_H, ctx.added, scale, dy.contiguous(), *ctx.needs_input_grad[:2]),
                None,
                None,
            )
        dx = dweight_H = None
        if ctx.needs_input_grad[1]:
            dweight_H = (dy * x).mul_(scale).flatten(0, -2).sum(0)
        if ctx.needs_input_grad[0]:
            dx = dy * _gain(weight_H, ctx.added)
            along = (dx * x).sum(-1, keepdim=True).mul_(scale.pow(3)).div_(-x.shape[-1])
            dx = dx.mul_(scale).addcmul_(x, along)
        return dx, dweight_H, None, None


def _back(
    kernels: Library,
    x: Tensor,
    weight_H: Tensor,
    added: float,
    scale: Tensor,
    dy: Tensor,
    wants_x: bool,
    wants_weight: bool,
) -> tuple[Tensor | None, Tensor | None]:
    num, width = _size(x)
    dx, dweight_H = torch.empty_like(x), torch.zeros_like(weight_H) if wants_weight else None
    parts = [(x, scale, dy, dx)]
    if wants_weight:  # of very many rows a sum loses digits
        flat = (y.view(num, -1) for y in parts[0])
        parts = list(zip(*(torch.split(y, _SUMMED) for y in flat), strict=True))
    for x_, scale_, dy_, dx_ in parts:
        part_H = None if dweight_H is None else torch.zeros_like(dweight_H)
        kernels.norm_back(
            x_.numel() // width, width, address(x_), address(weight_H), added, address(scale_), address(dy_),
            address(dx_), None if part_H is None else address(part_H),
        )  # fmt: skip
        if dweight_H is not None and part_H is not None:
            dweight_H += part_H
    return dx if wants_x else None, dweight_H


def _size(x: Tensor) -> tuple[int, int]:
    """Rows, and how wide they are."""
    return x.numel() // x.shape[-1], x.shape[-1]


def _gain(weight_H: Tensor, added: float) -> Tensor:
    return weight_H + added if added else weight_H


def _epsilon(norm: Any) -> float:
    return float(next(getattr(norm, name) for name in _EPSILON if hasattr(norm, name)))


def _is_norm(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return (
        swaps.RMS_NORM.is_known(type(module))
        and any(isinstance(getattr(module, name, None), float) for name in _EPSILON)
        and isinstance(weight, nn.Parameter)
        and [name for name, _ in module.named_parameters()] == ["weight"]
        and weight.ndim == 1
        and weight.dtype == torch.float32
        and weight.device.type == "cpu"
    )


@torch.no_grad()
def _answers_alike(norm: Any, added: float) -> bool:
    x_TH = torch.randn(3, len(norm.weight), generator=torch.Generator().manual_seed(0)) * 3
    mine, theirs = normed(x_TH, norm.weight, added, _epsilon(norm)), norm(x_TH)
    return float((mine - theirs).abs().max()) <= _CLOSE * float(theirs.abs().max())
