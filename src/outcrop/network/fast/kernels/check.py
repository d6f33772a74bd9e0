"""The self-test of the compiled C kernels against torch, before anything is trained with them."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from outcrop.network.fast.kernels.library import Library, Strided

_CLOSE = 1e-5
_LENGTHS = (5, 40)
_HEADS, _KEY_HEADS, _WIDTH, _SCALE = 2, 1, 16, 0.3


def answers_alike(kernels: Library) -> bool:
    """Whether each kernel gives torch's numbers and gradients."""
    with torch.inference_mode(False), torch.enable_grad():
        made = torch.Generator().manual_seed(0)
        return _attends(kernels, made) and _norms(kernels, made) and _gates(kernels, made) and _scores(kernels, made)


def _attends(kernels: Library, made: torch.Generator) -> bool:
    num = sum(_LENGTHS)
    q, k, v, d_o = (_random(made, heads, num, _WIDTH) for heads in (_HEADS, _KEY_HEADS, _KEY_HEADS, _HEADS))
    ends = torch.tensor(_LENGTHS).cumsum(0).tolist()
    wanted = torch.cat([_attended(q[:, i:j], k[:, i:j], v[:, i:j]) for i, j in pairwise([0, *ends])], dim=1)
    wants = torch.autograd.grad(wanted, (q, k, v), d_o)
    o, d_q, d_k, d_v = (torch.empty_like(x) for x in (q, q, k, v))
    lse = torch.empty(_HEADS, num, 1)
    lengths = torch.tensor(_LENGTHS)
    said = len(_LENGTHS), lengths.data_ptr(), _HEADS, _KEY_HEADS, _WIDTH, _SCALE, 0
    given = q, k, v, o, lse
    kernels.attend(*said, *map(_strided, given))
    kernels.attend_back(*said, *map(_strided, (*given, d_o, d_q, d_k, d_v)))
    return _alike((o, d_q, d_k, d_v), (wanted, *wants))


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    row = q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0)
    return functional.scaled_dot_product_attention(*row, is_causal=True, scale=_SCALE, enable_gqa=True).squeeze(0)


def _norms(kernels: Library, made: torch.Generator) -> bool:
    rows, width = 3, 37
    x, weight, d_y = _random(made, rows, width), _random(made, width), _random(made, rows, width)
    wanted = functional.rms_norm(x, (width,), weight, eps=1e-5)
    wants = torch.autograd.grad(wanted, (x, weight), d_y)
    y, scale, d_x, d_weight = torch.empty_like(x), torch.empty(rows), torch.empty_like(x), torch.zeros(width)
    at = x.data_ptr(), weight.data_ptr()
    kernels.norm(rows, width, *at, 0.0, 1e-5, y.data_ptr(), scale.data_ptr())
    kernels.norm_back(rows, width, *at, 0.0, scale.data_ptr(), d_y.data_ptr(), d_x.data_ptr(), d_weight.data_ptr())
    turned = torch.empty_like(x)
    kernels.rotate(
        1, rows, 36, x.data_ptr(), 0, width, y.data_ptr(), y.data_ptr(), -1.0, y.data_ptr() + 4 * 18, 1.0, width,
        turned.data_ptr(), 0, width,
    )  # fmt: skip
    (x1, x2), (y1, y2) = x[:, :36].chunk(2, 1), y[:, :36].chunk(2, 1)
    rotated = torch.cat([x1 * y1 - x2 * y1, x2 * y2 + x1 * y2], 1)
    return _alike((y, d_x, d_weight, turned[:, :36]), (wanted, *wants, rotated))


def _gates(kernels: Library, made: torch.Generator) -> bool:
    size = 37
    gate, up, d = (_random(made, size) for _ in range(3))
    acts = functional.silu(gate), functional.gelu(gate, approximate="tanh")
    fine = True
    for kind, act in enumerate(acts):
        wants = torch.autograd.grad(act * up, (gate, up), d)
        product, again, d_gate, d_up = (torch.empty(size) for _ in range(4))
        at = gate.data_ptr(), up.data_ptr()
        kernels.gate(kind, size, *at, product.data_ptr())
        kernels.gate_back(kind, size, *at, d.data_ptr(), again.data_ptr(), d_gate.data_ptr(), d_up.data_ptr())
        fine &= _alike((product, again, d_gate, d_up), (act * up, act * up, *wants))
    return fine


def _scores(kernels: Library, made: torch.Generator) -> bool:
    rows, width = 3, 5000
    logits, target = _random(made, rows, width), torch.tensor([0, 4999, 77])
    wanted = functional.cross_entropy(logits, target, reduction="none")
    (want,) = torch.autograd.grad(wanted.sum(), logits)
    slope, nll = logits.detach().clone(), torch.empty(rows)
    kernels.cross_entropy(rows, width, slope.data_ptr(), target.data_ptr(), nll.data_ptr(), 1)
    return _alike((nll, slope), (wanted, want))


def _random(made: torch.Generator, *size: int) -> Tensor:
    return (torch.randn(*size, generator=made) * 2).requires_grad_()


def _strided(x: Tensor) -> Strided:
    return Strided(x.data_ptr(), x.stride(0), x.stride(1))


def _alike(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> bool:
    pairs = zip(found, wanted, strict=True)
    return all(float((a - b).detach().abs().max()) <= _CLOSE * float(b.detach().abs().max()) for a, b in pairs)
