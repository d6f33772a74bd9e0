"""Causal attention of packed records through the C kernels, with its gradient.

Shapes: H query heads, K key/value heads, T tokens, D head width.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from outcrop.network.fast.kernels.library import Library, Strided
from outcrop.network.fast.kernels.use import address, usable

_WIDTH = 16
"Head widths are to be multiples of the widest vectors."


def kernels_for(q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor, scale: float, window: int | None) -> Library | None:
    """The kernels if they know how to attend with these."""
    heads, tokens, width = q_HTD.shape
    shared = k_KTD.shape == v_KTD.shape and k_KTD.shape[1:] == (tokens, width)
    known = shared and k_KTD.shape[0] > 0 and heads % k_KTD.shape[0] == 0 and width > 0 and width % _WIDTH == 0
    if not known or scale <= 0 or (window is not None and window <= 0):
        return None
    return usable(q_HTD, k_KTD, v_KTD)


def attend(
    kernels: Library,
    q_HTD: Tensor,
    k_KTD: Tensor,
    v_KTD: Tensor,
    lengths: Sequence[int],
    scale: float,
    window: int | None,
) -> Tensor:
    """o_HTD; each record attends to itself alone, a token to `window` positions, itself included, or all."""
    found: Tensor = _Attention.apply(kernels, q_HTD, k_KTD, v_KTD, lengths, scale, window)  # type: ignore[no-untyped-call]
    return found


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kernels: Library,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        lengths: Sequence[int],
        scale: float,
        window: int | None,
    ) -> Tensor:
        q, k, v = (_whole_heads(x) for x in (q, k, v))
        o, lse_HT1 = _token_by_token(q), q.new_empty(*q.shape[:2], 1)
        sizes = q.shape[0], k.shape[0], q.shape[2]
        ctx.said = len(lengths), (ctypes.c_int64 * len(lengths))(*lengths), *sizes, scale, window or 0
        ctx.kernels = kernels
        _demand_memory(kernels.attend(*ctx.said, *(_strided(x) for x in (q, k, v, o, lse_HT1))))
        ctx.save_for_backward(q, k, v, o, lse_HT1)
        return o

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_o: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, o, lse_HT1 = ctx.saved_tensors
        d_o = _whole_heads(d_o)
        d_q, d_k, d_v = (_token_by_token(x) for x in (q, k, v))
        tensors = (q, k, v, o, lse_HT1, d_o, d_q, d_k, d_v)
        _demand_memory(ctx.kernels.attend_back(*ctx.said, *(_strided(x) for x in tensors)))
        return None, d_q, d_k, d_v, None, None, None


def _whole_heads(x_HTD: Tensor) -> Tensor:
    return x_HTD if x_HTD.stride(2) == 1 else x_HTD.contiguous()


def _token_by_token(x_HTD: Tensor) -> Tensor:
    """Empty memory in the shape of x, with all heads of a token together.

    The layers before and after have theirs so.
    """
    num_heads, num_tokens, width = x_HTD.shape
    return x_HTD.new_empty(num_tokens, num_heads, width).transpose(0, 1)


def _strided(x_HTD: Tensor) -> Strided:
    return Strided(address(x_HTD), x_HTD.stride(0), x_HTD.stride(1))


def _demand_memory(failed: int) -> None:
    if failed:
        raise MemoryError("no memory for the scores of attention")
