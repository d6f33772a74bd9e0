"""Cross-entropy straight from hidden states, a slice of the logits at a time.

All logits of a row can be larger than the network; kept for the backward pass they would be held several times. Here
the gradient of a slice is made while its logits are at hand, and then both are gone.

Shapes: N positions, C of them in a slice, H hidden width, V vocabulary.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from outcrop.network.fast.kernels.library import Library
from outcrop.network.fast.kernels.use import address, usable
from outcrop.network.fast.lm_head import LMHead

_SLICE_BYTES = 24 * 2**20
"Of logits in a slice, and then their gradient. A processor's cache holds a slice of this size."
_FEWEST = 128
"Positions of a slice; with fewer the product of matrices becomes slow."


def nll(hidden_NH: Tensor, head: LMHead, target_N: Tensor, *, slice_bytes: int = _SLICE_BYTES) -> Tensor:
    """The negative log-likelihood of each target, nll_N, in nats and fp32; hidden states and head may be trained."""
    size = max(_FEWEST, slice_bytes // (4 * head.weight_VH.shape[0]))
    # A function of torch's is told that a weight learns even where nothing is being learned.
    weight_VH = head.weight_VH if torch.is_grad_enabled() else head.weight_VH.detach()
    found: Tensor = _CrossEntropy.apply(hidden_NH, weight_VH, head, target_N, size)  # type: ignore[no-untyped-call]
    return found


class _Pass(NamedTuple):
    nll_N: Tensor
    hidden_NH: Tensor | None
    "Gradients, where asked for."
    weight_VH: Tensor | None


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, head: LMHead, target_N: Tensor, size: int) -> Tensor:
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        made = _through(hidden_NH, head, target_N, size, wants_hidden=wants_hidden, wants_weight=wants_weight)
        ctx.head, ctx.made, ctx.size = head, made, size
        if wants_weight:  # they are needed again where the losses are weighted
            ctx.save_for_backward(hidden_NH, target_N, weight_VH)
        return made.nll_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream_N: Tensor) -> tuple[Tensor | None, ...]:
        made: _Pass = ctx.made
        ctx.made = None  # large, and of no use any more
        dtype = ctx.head.weight_VH.dtype
        hidden_NH = made.hidden_NH
        if hidden_NH is not None:
            hidden_NH.mul_(upstream_N.unsqueeze(1).to(dtype))  # in place, as nobody else has them
        weight_VH = made.weight_VH
        if weight_VH is not None:
            if bool((upstream_N == upstream_N[0]).all()):  # a sum or a mean: one number for all
                weight_VH.mul_(upstream_N[0].to(dtype))
            else:
                hidden, target_N, _ = ctx.saved_tensors
                weight_VH = _through(
                    hidden, ctx.head, target_N, ctx.size, wants_hidden=False, wants_weight=True, upstream_N=upstream_N
                ).weight_VH
        return hidden_NH, weight_VH, None, None, None


def _through(
    hidden_NH: Tensor,
    head: LMHead,
    target_N: Tensor,
    size: int,
    *,
    wants_hidden: bool,
    wants_weight: bool,
    upstream_N: Tensor | None = None,
) -> _Pass:
    """The losses, and the gradients of their sum, each loss times upstream_N if that is given."""
    weight_VH = head.weight_VH
    num = hidden_NH.shape[0]
    size = math.ceil(num / max(1, math.ceil(num / size)))  # all alike: a slice of few positions is slow
    nll_N = hidden_NH.new_empty(num, dtype=torch.float32)
    grad_NH = torch.empty_like(hidden_NH) if wants_hidden else None
    grad_VH = torch.zeros_like(weight_VH) if wants_weight else None
    with _lent(size, weight_VH) as product_CV:  # the same memory for all slices, and for those of the next row
        for start in range(0, num, size):
            end = min(num, start + size)
            hidden_CH, target_C = hidden_NH[start:end], target_N[start:end]
            product = torch.mm(hidden_CH, weight_VH.T, out=product_CV[: end - start])
            logits = _in_place(product.float(), head)
            slope = _slope(logits, head) if wants_hidden or wants_weight else None
            nll_N[start:end] = _softmax(logits, target_C, wants_gradient=wants_hidden or wants_weight)
            if not (wants_hidden or wants_weight):
                continue
            upstream_C = None if upstream_N is None else upstream_N[start:end]
            grad = _gradient(logits, slope, upstream_C).to(weight_VH.dtype)
            if grad_NH is not None:
                torch.mm(grad, weight_VH, out=grad_NH[start:end])
            if grad_VH is not None:
                grad_VH.addmm_(grad.T, hidden_CH)
    return _Pass(nll_N, grad_NH, grad_VH)


class Spare:
    """Memory of slices that are done with. What is fresh has to be cleared by the system first, page by page, which
    takes a tenth of the time that a product of matrices takes to fill it.

    There is never more of it than slices were at hand at once, one in a thread.
    """

    def __init__(self) -> None:
        self._spare: list[Tensor] = []
        self._lock = threading.Lock()

    def take(self, num: int, like: Tensor) -> Tensor:
        with self._lock:
            of_kind = [i for i, t in enumerate(self._spare) if t.dtype == like.dtype and t.device == like.device]
            found = self._spare.pop(of_kind[-1]) if of_kind else None
        if found is not None and found.numel() >= num:
            return found
        with torch.inference_mode(False):  # what an evaluation takes first, a training step may fill too
            return torch.empty(num, dtype=like.dtype, device=like.device)

    def give(self, memory: Tensor) -> None:
        with self._lock:
            self._spare.append(memory)


SPARE = Spare()


@contextmanager
def _lent(size: int, weight_VH: Tensor) -> Iterator[Tensor]:
    """Memory of shape CV and the weight's kind, with anything in it, to use within the block.

    A GPU's memory is kept by torch itself, and what is only traced has none.
    """
    width = weight_VH.shape[0]
    if weight_VH.device.type != "cpu" or type(weight_VH) not in (Tensor, nn.Parameter):
        yield weight_VH.new_empty(size, width)
        return
    memory = SPARE.take(size * width, weight_VH)
    try:
        yield memory[: size * width].view(size, width)
    finally:
        SPARE.give(memory)


def _in_place(logits_CV: Tensor, head: LMHead) -> Tensor:
    """The product of hidden states and head, made logits."""
    if head.scale != 1.0:
        logits_CV.mul_(head.scale)
    if head.softcap is not None:
        logits_CV.div_(head.softcap).tanh_().mul_(head.softcap)
    return logits_CV


def _slope(logits_CV: Tensor, head: LMHead) -> Tensor | float | None:
    """The derivative of the logits by the product of hidden states and head.

    It is a number, or one for each; None stands for 1.
    """
    if head.softcap is None:
        return None if head.scale == 1.0 else head.scale
    return (logits_CV / head.softcap).square_().neg_().add_(1).mul_(head.scale)


def _softmax(logits_CV: Tensor, target_C: Tensor, *, wants_gradient: bool) -> Tensor:
    """nll_C. The logits' memory holds, if wanted, its gradient by them, and else nothing of use."""
    if kernels := usable(logits_CV):
        return _softmax_in_c(kernels, logits_CV, target_C, wants_gradient=wants_gradient)
    of_target, largest = logits_CV.gather(1, target_C.unsqueeze(1)).squeeze(1), logits_CV.amax(1)
    chance_CV = torch.softmax(logits_CV, dim=1, out=logits_CV)
    # Of the likeliest token the logarithm is exact, while that of a target's chance may be of zero.
    nll_C = (largest - of_target) - chance_CV.amax(1).log_()
    if wants_gradient:
        chance_CV[torch.arange(len(target_C), device=target_C.device), target_C] -= 1
    return nll_C


def _softmax_in_c(kernels: Library, logits_CV: Tensor, target_C: Tensor, *, wants_gradient: bool) -> Tensor:
    target_C, width = target_C.contiguous(), logits_CV.shape[1]
    # Before what torch itself would refuse is read from elsewhere.
    if target_C.dtype != torch.int64 or int(target_C.min()) < 0 or int(target_C.max()) >= width:
        raise IndexError(f"a target is no token id below {width:,}, which is as many as the head knows")
    nll_C = logits_CV.new_empty(len(target_C))
    assert logits_CV.is_contiguous(), "slices lie in memory of their own"
    kernels.cross_entropy(*logits_CV.shape, address(logits_CV), address(target_C), address(nll_C), int(wants_gradient))
    return nll_C


def _gradient(of_logits_CV: Tensor, slope_CV: Tensor | float | None, upstream_C: Tensor | None) -> Tensor:
    """The gradient of the losses by the product of hidden states and head.

    It is computed from that by the logits, in its memory.
    """
    if slope_CV is not None:
        of_logits_CV.mul_(slope_CV)
    if upstream_C is not None:
        of_logits_CV.mul_(upstream_C.unsqueeze(1))
    return of_logits_CV
