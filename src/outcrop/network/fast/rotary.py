"""Rotary positions as one operation each way, where a network would make them of ten.

Left to autograd, each rotation of queries and keys is two products, a sum, a negation and a copy of all numbers, and
more of the same on the way back. Source of the rotation: Su et al. 2021, arXiv:2104.09864, section 3.4.2; halves lie
behind each other as in `transformers`.

Shapes: B = 1 row, H query heads, K key heads, T tokens, D head width.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.autograd.function import once_differentiable

from outcrop.network import swaps
from outcrop.network.fast.kernels.library import Library
from outcrop.network.fast.kernels.use import address, usable

_NAME = "apply_rotary_pos_emb"
"By which the attention of every family in `transformers` that has such positions finds the function."
_CLOSE = 1e-6
"How far a number may be from a family's own."
_Rotation = Callable[..., tuple[Tensor, Tensor]]


def swap_in(network: nn.Module) -> int:
    """Have the attention of a network on a CPU, in fp32, rotate with less; returns how many layers do.

    A layer's own `forward` is kept and finds another function under the name.
    """
    made: dict[type, FunctionType | None] = {}
    found = 0
    for module in network.modules():
        own = type(module)
        if own not in made:
            made[own] = _fast_forward(own)
        if (forward := made[own]) is not None:
            swaps.put_before(module, _FastAttention, forward=forward)
            found += 1
    return found


class _FastAttention:
    """An attention layer whose own `forward` finds our rotation."""


def rotated(q_BHTD: Tensor, k_BKTD: Tensor, cos_BTD: Tensor, sin_BTD: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys with rotary positions applied: each pair of numbers turned by its angle."""
    pair: tuple[Tensor, Tensor] = _Rotary.apply(q_BHTD, k_BKTD, cos_BTD, sin_BTD)  # type: ignore[no-untyped-call]
    return pair


class _Rotary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q_BHTD: Tensor, k_BKTD: Tensor, cos_BTD: Tensor, sin_BTD: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(cos_BTD, sin_BTD)
        return _turned(q_BHTD, cos_BTD, sin_BTD), _turned(k_BKTD, cos_BTD, sin_BTD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dq: Tensor, dk: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(dq, cos, sin, back=True), _turned(dk, cos, sin, back=True), None, None


def _turned(x_BHTD: Tensor, cos_BTD: Tensor, sin_BTD: Tensor, *, back: bool = False) -> Tensor:
    """x with its rotary positions applied; with `back`, the gradient of x from that of the result.

    The result is x cos, with the second half of x times a sine added to the first and the first to the second.
    """
    one_row = x_BHTD.shape[0] == 1 and x_BHTD.stride(-1) == 1 and x_BHTD.shape[-1] % 2 == 0
    angles = (
        cos_BTD.shape == sin_BTD.shape == (1, *x_BHTD.shape[2:]) and cos_BTD.is_contiguous() and sin_BTD.is_contiguous()
    )
    if one_row and angles and (kernels := usable(x_BHTD, cos_BTD, sin_BTD)):
        return _turned_in_c(kernels, x_BHTD, cos_BTD, sin_BTD, back=back)
    y = x_BHTD * cos_BTD.unsqueeze(1)
    (x1, x2), (y1, y2) = x_BHTD.chunk(2, dim=-1), y.chunk(2, dim=-1)
    of_first, of_second = sin_BTD.unsqueeze(1).chunk(2, dim=-1)
    y1.addcmul_(x2, of_second if back else -of_first)
    y2.addcmul_(x1, -of_first if back else of_second)
    return y


def _turned_in_c(kernels: Library, x_1HTD: Tensor, cos_1TD: Tensor, sin_1TD: Tensor, *, back: bool) -> Tensor:
    _, heads, tokens, width = x_1HTD.shape
    y_1HTD = x_1HTD.new_empty(1, tokens, heads, width).transpose(1, 2)
    of_first = address(sin_1TD)
    of_second = of_first + sin_1TD.element_size() * (width // 2)
    sines = (of_second, 1.0, of_first, -1.0) if back else (of_first, -1.0, of_second, 1.0)
    kernels.rotate(
        heads, tokens, width, address(x_1HTD), x_1HTD.stride(1), x_1HTD.stride(2), address(cos_1TD), *sines, width,
        address(y_1HTD), y_1HTD.stride(1), y_1HTD.stride(2),
    )  # fmt: skip
    return y_1HTD


def _fast_forward(own: type) -> FunctionType | None:
    """The `forward` of a class with our rotation; None where it has no such positions, or others than ours."""
    forward = vars(own).get("forward")
    if not isinstance(forward, FunctionType) or _NAME not in forward.__code__.co_names:
        return None
    theirs = forward.__globals__.get(_NAME)
    if theirs is None or not swaps.ROTATION.is_known(theirs):
        return None
    if not _answers_alike(theirs):
        swaps.ROTATION.demand(theirs, "computes other numbers")
        return None
    return swaps.with_global(forward, _NAME, _fast(theirs))


def _fast(theirs: _Rotation) -> _Rotation:
    def rotation(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        usual = (
            not args and not kwargs and all(x.dtype == torch.float32 and x.device.type == "cpu" for x in (q, k, cos))
        )
        # Without gradients nothing is remembered, and torch's own operations are as good.
        if not usual or not torch.is_grad_enabled() or not q.shape[-1] == k.shape[-1] == cos.shape[-1]:
            return theirs(q, k, cos, sin, *args, **kwargs)
        return rotated(q, k, cos, sin)

    return rotation


@torch.no_grad()
@unset_fake_temporarily()  # tensors without contents, as an estimate has them, are alike with nothing
def _answers_alike(theirs: _Rotation) -> bool:
    generator = torch.Generator().manual_seed(0)
    q, k, cos, sin = (
        torch.randn(*size, generator=generator) for size in ((1, 3, 5, 8), (1, 2, 5, 8), *[(1, 5, 8)] * 2)
    )
    try:
        pairs = zip(rotated(q, k, cos, sin), theirs(q, k, cos, sin), strict=True)
        return all(mine.shape == own.shape and torch.allclose(mine, own, atol=_CLOSE, rtol=0) for mine, own in pairs)
    except (RuntimeError, TypeError, ValueError):
        return False  # one that rotates otherwise, and wants other arguments
