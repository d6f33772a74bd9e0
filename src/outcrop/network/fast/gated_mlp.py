"""The second half of a gated feed-forward block, down(act(gate) · up), which remembers no more than gate and up.

Left to itself, autograd keeps act(gate) and the product too, half of all that a layer of a Llama-like network keeps for
its backward pass. Here both are made again, so many tokens at a time that what is made again stays small.
The numbers are the same; only the order in which an adapter's gradient is summed over tokens differs.

Shapes: T tokens, I inner width, O output width, R rank.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers.activations import ACT2FN

from outcrop.network import swaps
from outcrop.network.adapters.linear import AdapterLinear, PlacedUpdate
from outcrop.network.adapters.lora import LoRAUpdate
from outcrop.network.fast.kernels.library import Library
from outcrop.network.fast.kernels.use import address, usable

_TOKENS = 512
"Made again at a time; products of matrices with fewer rows than this lose speed."
_NUMBERS = 2**17
"Of each tensor at a time, between the products: as many as stay in a core's own cache from one operation to the next."
_PARTS = ("gate_proj", "up_proj", "down_proj")
_CLOSE = 1e-5
"How far this may be from the block's own answer, as a share of its largest number."


class Activation(NamedTuple):
    """An activation function, and its gradient from that of its result."""

    of: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor, Tensor], object]
    "Written to the third."
    kernel: int
    "By which the C kernels know it."


_SILU = Activation(
    functional.silu,
    lambda grad, x, into: torch.ops.aten.silu_backward(grad, x, grad_input=into),
    0,
)
_GELU_TANH = Activation(
    lambda x: functional.gelu(x, approximate="tanh"),
    lambda grad, x, into: torch.ops.aten.gelu_backward(grad, x, approximate="tanh", grad_input=into),
    1,
)
_ACTIVATIONS = {"silu": _SILU, "gelu_pytorch_tanh": _GELU_TANH}
_KNOWN = {type(ACT2FN[name]): activation for name, activation in _ACTIVATIONS.items()}


class _FastBlock:
    """A gated feed-forward block that remembers gate and up only; its parts keep their places and names."""

    act_fn: nn.Module
    gate_proj: nn.Module
    up_proj: nn.Module
    down_proj: AdapterLinear

    def forward(self, x_BTH: Tensor) -> Tensor:
        down = self.down_proj
        if not (torch.is_grad_enabled() and x_BTH.shape[0] == 1):
            return super().forward(x_BTH)  # type: ignore[misc,no-any-return]
        placed = down.updates_at(x_BTH.shape[1])
        # Nothing, or LoRA that drops nothing: the sums below are what it does.
        if not all(isinstance(update, LoRAUpdate) and not update.dropout for _, _, update in placed):
            return super().forward(x_BTH)  # type: ignore[misc,no-any-return]
        # Not [0], whose gradient is a tensor of zeros with this one copied into it.
        gate_TI, up_TI = self.gate_proj(x_BTH).squeeze(0), self.up_proj(x_BTH).squeeze(0)
        return down_of(gate_TI, up_TI, down.base, placed, _KNOWN[type(self.act_fn)]).unsqueeze(0)


def swap_in(network: nn.Module) -> int:
    """Have the gated blocks of a network that holds adapters remember less while it trains; returns how many there are.

    On a CPU: elsewhere the cache is not what counts.
    """
    found = [module for module in network.modules() if _is_gated(module)]
    tried: dict[type, bool] = {}
    for block in found:
        own = type(block)
        if own not in tried:
            tried[own] = _answers_alike(block)
            if not tried[own] and all(weight.dtype == torch.float32 for weight in block.parameters()):
                swaps.GATED_MLP.demand(own, "computes other numbers")
        if tried[own]:
            swaps.put_before(block, _FastBlock)
    return sum(isinstance(block, _FastBlock) for block in found)


def down_of(
    gate_TI: Tensor, up_TI: Tensor, base: nn.Linear, placed: Sequence[PlacedUpdate], activation: Activation
) -> Tensor:
    """base(act(gate) · up) with the updates of adapters, y_TO."""
    places, learnt = list[_UpdatePlace](), list[Tensor]()
    for start, end, update in placed:
        assert isinstance(update, LoRAUpdate), "others are not known here"
        places.append(_UpdatePlace(start, end, update.scale))
        learnt += [update.a_RI, update.b_OR]
    arguments = (gate_TI, up_TI, base.weight, base.bias, places, activation, *learnt)
    y_TO: Tensor = _GatedDown.apply(*arguments)  # type: ignore[no-untyped-call]
    return y_TO


class _UpdatePlace(NamedTuple):
    """The tokens start..end of an adapter, and the scale of its update."""

    start: int
    end: int
    scale: float

    def within(self, part: slice) -> tuple[slice, slice, slice]:
        """The tokens that lie in a part that meets them: counted in the row, in the part, in these tokens."""
        start, end = max(self.start, part.start), min(self.end, part.stop)
        return (
            slice(start, end),
            slice(start - part.start, end - part.start),
            slice(start - self.start, end - self.start),
        )

    def meets(self, part: slice) -> bool:
        return bool(self.start < part.stop and part.start < self.end)


class _GatedDown(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gate_TI: Tensor,
        up_TI: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        places: Sequence[_UpdatePlace],
        activation: Activation,
        *learnt: Tensor,
    ) -> Tensor:
        y_TO = gate_TI.new_empty(len(gate_TI), len(weight_OI))
        narrow = [
            gate_TI.new_empty(place.end - place.start, len(a_RI))
            for place, a_RI in zip(places, learnt[::2], strict=True)
        ]
        for part in _parts(len(gate_TI), _TOKENS):
            product_CI = _product(gate_TI[part], up_TI[part], activation)
            torch.mm(product_CI, weight_OI.T, out=y_TO[part])
            for place, narrow_NR, a_RI, b_OR in zip(places, narrow, learnt[::2], learnt[1::2], strict=True):
                if place.meets(part):
                    of_row, of_part, own = place.within(part)
                    narrow_CR = torch.mm(product_CI[of_part], a_RI.T, out=narrow_NR[own]).mul_(place.scale)
                    y_TO[of_row].addmm_(narrow_CR, b_OR.T)
        if bias_O is not None:
            y_TO += bias_O
        ctx.places, ctx.activation = places, activation
        ctx.save_for_backward(gate_TI, up_TI, weight_OI, *narrow, *learnt)
        return y_TO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_TO: Tensor) -> tuple[Tensor | None, ...]:
        gate_TI, up_TI, weight_OI, *saved = ctx.saved_tensors
        places: Sequence[_UpdatePlace] = ctx.places
        narrow, aa, bs = saved[: len(places)], saved[len(places) :: 2], saved[len(places) + 1 :: 2]
        wants_weight, wants_bias = ctx.needs_input_grad[2:4]
        dgate_TI, dup_TI = torch.empty_like(gate_TI), torch.empty_like(up_TI)
        dweight_OI = torch.zeros_like(weight_OI) if wants_weight else None
        das = [torch.zeros_like(a_RI) for a_RI in aa]
        dbs = [  # as in lora.py
            (narrow_NR.T @ dy_TO[place.start : place.end]).T for place, narrow_NR in zip(places, narrow, strict=True)
        ]
        for part in _parts(len(gate_TI), _TOKENS):
            dy_CO = dy_TO[part]
            dproduct_CI = dy_CO @ weight_OI
            dnarrow = list[tuple[slice, Tensor, Tensor]]()
            for place, a_RI, b_OR, da_RI in zip(places, aa, bs, das, strict=True):
                if place.meets(part):
                    _, of_part, _ = place.within(part)
                    dnarrow_CR = (dy_CO[of_part] @ b_OR).mul_(place.scale)
                    dproduct_CI[of_part].addmm_(dnarrow_CR, a_RI)
                    dnarrow.append((of_part, dnarrow_CR, da_RI))
            product_CI = torch.empty_like(dproduct_CI)
            wanted_CI = None if not das and dweight_OI is None else product_CI
            grads = dproduct_CI, dgate_TI[part], dup_TI[part]
            _back_through(gate_TI[part], up_TI[part], wanted_CI, *grads, ctx.activation)
            for of_part, dnarrow_CR, da_RI in dnarrow:
                da_RI.addmm_(dnarrow_CR.T, product_CI[of_part])
            if dweight_OI is not None:
                dweight_OI.addmm_(dy_CO.T, product_CI)
        dbias_O = dy_TO.sum(0) if wants_bias else None
        learnt = itertools.chain.from_iterable(zip(das, dbs, strict=True))
        return dgate_TI, dup_TI, dweight_OI, dbias_O, None, None, *learnt


def _product(gate_CI: Tensor, up_CI: Tensor, activation: Activation) -> Tensor:
    """act(gate) · up"""
    product_CI = torch.empty_like(up_CI)
    if kernels := _kernels(gate_CI, up_CI):
        at = (address(gate_CI), address(up_CI), address(product_CI))
        kernels.gate(activation.kernel, up_CI.numel(), *at)
        return product_CI
    for part in _in_cache(up_CI):
        torch.mul(activation.of(gate_CI[part]), up_CI[part], out=product_CI[part])
    return product_CI


def _back_through(
    gate_CI: Tensor,
    up_CI: Tensor,
    product_CI: Tensor | None,
    dproduct_CI: Tensor,
    dgate_CI: Tensor,
    dup_CI: Tensor,
    activation: Activation,
) -> None:
    """The product again, where it is wanted. Its gradient, which is used up, is written on as those of gate and up."""
    if kernels := _kernels(gate_CI, up_CI, dproduct_CI, dgate_CI, dup_CI):
        product = None if product_CI is None else address(product_CI)
        given = (address(x) for x in (gate_CI, up_CI, dproduct_CI))
        kernels.gate_back(activation.kernel, up_CI.numel(), *given, product, address(dgate_CI), address(dup_CI))
        return
    for part in _in_cache(up_CI):
        gate, up, dproduct = gate_CI[part], up_CI[part], dproduct_CI[part]
        active = activation.of(gate)
        if product_CI is not None:
            torch.mul(active, up, out=product_CI[part])
        torch.mul(dproduct, active, out=dup_CI[part])
        activation.gradient(dproduct.mul_(up), gate, dgate_CI[part])


def _kernels(*tensors: Tensor) -> Library | None:
    alike = all(x.is_contiguous() and x.shape == tensors[0].shape for x in tensors)
    return usable(*tensors) if alike else None


def _in_cache(x_CI: Tensor) -> list[slice]:
    return _parts(len(x_CI), max(1, _NUMBERS // x_CI.shape[1]))


def _parts(num: int, size: int) -> list[slice]:
    return [slice(start, min(num, start + size)) for start in range(0, num, size)]


def _is_gated(module: Any) -> bool:
    return (
        all(isinstance(getattr(module, part, None), AdapterLinear) for part in _PARTS)
        and isinstance(module.down_proj.base, nn.Linear)
        and type(getattr(module, "act_fn", None)) in _KNOWN
        and swaps.GATED_MLP.is_known(type(module))
        and next(module.parameters()).device.type == "cpu"
    )


@torch.no_grad()
def _answers_alike(block: Any) -> bool:
    """Whether a block does with its parts what is done here, for the bare base."""
    num_inputs, _ = block.gate_proj.widths
    weight = block.down_proj.base.weight
    x_BTH = torch.randn(1, 4, num_inputs, generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    spans, block.down_proj.routing.spans = block.down_proj.routing.spans, []
    try:
        gate_TI, up_TI = block.gate_proj(x_BTH)[0], block.up_proj(x_BTH)[0]
        mine = down_of(gate_TI, up_TI, block.down_proj.base, (), _KNOWN[type(block.act_fn)])
        theirs = block(x_BTH)[0]
    finally:
        block.down_proj.routing.spans = spans
    return float((mine - theirs).abs().max()) <= _CLOSE * float(theirs.abs().max())
