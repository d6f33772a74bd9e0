"""A network as the decoding step in C reads it: its weights, laid out for small batches, and its numbers.

Networks of the family that Llama began are recognised by their modules, whatever their class is called. Whether the
step answers as the network does is tried out before it is used (`inference/step_proof.py`): a guess that is wrong here
costs speed, never an answer.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from outcrop.network.adapters.linear import AdapterLinear
from outcrop.network.attention import Scoring
from outcrop.network.fast.decoding.library import MATRICES, Layer, Matrix, Network
from outcrop.network.fast.decoding.packed import Crew, PackedLinear, pack, unpack
from outcrop.network.weight_precision import WeightPrecision

_ACTS: tuple[Callable[[Tensor], Tensor], ...] = (
    functional.silu,
    lambda x: functional.gelu(x, approximate="tanh"),
)
"In the order of `act` in step.c."
NO_ANGLES = "none"
"The kind of layers whose queries and keys are not turned."


class OtherNetwork(Exception):
    """A network that is not of this family."""


@dataclass(kw_only=True)
class DecodingPlan:
    """A network as the C source reads it. Keeps all memory alive that it points to."""

    network: Network
    layers: Any
    "The array of its layers."
    linears: list[list[AdapterLinear]]
    "Of each layer the modules of MATRICES, to find what adapters add to them."
    embed: nn.Module
    head: nn.Module
    logit_scale: float
    logit_softcap: float | None
    rotary: nn.Module | None
    angle_kinds: list[str]
    "Of each table of angles, the kind of layer it is for."
    kept: list[Tensor] = field(default_factory=list)


def plan_of(
    network: Any, scorings: Sequence[Scoring], crew: Crew, weights: WeightPrecision = WeightPrecision.FP32
) -> DecodingPlan:
    """The plan of a network in fp32 on a CPU, whose layers score as told. Its linear layers are packed from then on.

    Raises OtherNetwork, with the network as it was.
    """
    try:
        linears = [[_part(module, name) for name in MATRICES] for module in network.model.layers]
        places = [(each, "base") for layer in linears for each in layer]
        head, embedding = network.get_output_embeddings(), network.get_input_embeddings()
        if not all(type(parent.base) is nn.Linear for parent, _ in places) or type(head) is not nn.Linear:
            raise OtherNetwork("a layer is of another kind")
    except AttributeError as error:
        raise OtherNetwork(f"{type(network).__name__}: {error}") from error
    pack(network, places, crew, weights)
    try:
        return _Planning(network, scorings, linears).plan()
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError, OtherNetwork) as error:
        unpack(network, embedding)
        raise OtherNetwork(f"{type(network).__name__}: {error}") from error


class _Planning:
    """The making of one plan, out of a network whose linear layers are packed."""

    def __init__(self, network: Any, scorings: Sequence[Scoring], linears: list[list[AdapterLinear]]) -> None:
        self._network = network
        self._decoder = network.model
        self._config = network.config.get_text_config()
        self._scorings = scorings
        self._linears = linears
        self._kept: list[Tensor] = []

    def plan(self) -> DecodingPlan:
        modules = list(self._decoder.layers)
        kinds = [self._kind(each) for each in modules]
        tables = list(dict.fromkeys(kinds))
        layers = (Layer * len(modules))()
        for layer, module, scoring, kind in zip(layers, modules, self._scorings, kinds, strict=True):
            self._fill(layer, module, scoring, tables.index(kind))
        for layer, linears in zip(layers, self._linears, strict=True):
            for number, linear in enumerate(linears):
                layer.of[number] = _matrix(linear.base)
        first, attention = self._scorings[0], modules[0].self_attn
        if any((each.scale, each.softcap) != (first.scale, first.softcap) for each in self._scorings):
            raise OtherNetwork("its layers score in several ways")
        head_width = int(attention.head_dim)
        made = Network(
            num_layers=len(modules),
            width=self._config.hidden_size,
            heads=_outputs(attention.q_proj) // head_width,
            kv_heads=_outputs(attention.k_proj) // head_width,
            head_width=head_width,
            rotary_width=self._rotary_width(head_width, kinds),
            mlp_width=_outputs(modules[0].mlp.gate_proj),
            eps=_eps(self._decoder.norm),
            scale=first.scale,
            softcap=first.softcap or 0.0,
            residual=getattr(self._config, "residual_multiplier", None) or 1.0,
            act=self._act(modules[0].mlp.act_fn),
            layers=ctypes.addressof(layers),
            norm=self._norm(self._decoder.norm),
        )
        return DecodingPlan(
            network=made,
            layers=layers,
            linears=self._linears,
            embed=self._network.get_input_embeddings(),
            head=self._network.get_output_embeddings(),
            logit_scale=1.0 / (getattr(self._config, "logits_scaling", None) or 1.0),
            logit_softcap=getattr(self._config, "final_logit_softcapping", None),
            rotary=getattr(self._decoder, "rotary_emb", None),
            angle_kinds=tables,
            kept=self._kept,
        )

    def _fill(self, layer: Layer, module: Any, scoring: Scoring, table: int) -> None:
        layer.before_attention = self._norm(module.input_layernorm)
        # Of two norms the one that is called after attention precedes the gated block; of four it follows attention.
        if hasattr(module, "pre_feedforward_layernorm"):
            layer.after_attention = self._norm(module.post_attention_layernorm)
            layer.before_mlp = self._norm(module.pre_feedforward_layernorm)
            layer.after_mlp = self._norm(module.post_feedforward_layernorm)
        else:
            layer.before_mlp = self._norm(module.post_attention_layernorm)
        attention = module.self_attn
        if getattr(attention, "q_norm", None) is not None:
            layer.query_norm, layer.key_norm = self._norm(attention.q_norm), self._norm(attention.k_norm)
        layer.window = scoring.window or 0
        layer.angles = table

    def _kind(self, module: Any) -> str:
        attention = module.self_attn
        if not getattr(attention, "use_rope", True):
            return NO_ANGLES
        return str(getattr(attention, "layer_type", None) or "all") if self._has_angles_by_kind() else "all"

    def _has_angles_by_kind(self) -> bool:
        return hasattr(self._decoder.rotary_emb, "layer_types")

    def _rotary_width(self, head_width: int, kinds: Sequence[str]) -> int:
        for kind in kinds:
            if kind != NO_ANGLES:
                cos, _ = angles(self._decoder.rotary_emb, kind, torch.zeros(1, 1, dtype=torch.long))
                return int(cos.shape[-1])
        return head_width

    def _act(self, act: Callable[[Tensor], Tensor]) -> int:
        x = torch.linspace(-6, 6, 97)
        for number, known in enumerate(_ACTS):
            if torch.allclose(act(x), known(x), atol=1e-6):
                return number
        raise OtherNetwork("its blocks are gated by another function")

    def _norm(self, module: Any) -> int:
        """The weight of a norm: what it makes of ones, whose root mean square is one."""
        width = next(module.parameters()).shape[0]
        ones = torch.ones(1, width)
        made = module(ones)[0] * (1 + _eps(module)) ** 0.5
        return self._keep(made)

    def _keep(self, tensor: Tensor) -> int:
        kept = tensor.detach().to(torch.float32).contiguous()
        self._kept.append(kept)
        return kept.data_ptr()


def angles(rotary: Any, kind: str, positions_1M: Tensor) -> tuple[Tensor, Tensor]:
    """The cosines and sines of positions, for layers of a kind: 1MD each."""
    like = torch.zeros(1)
    more = {} if kind == "all" else {"layer_type": kind}
    cos, sin = rotary(like, positions_1M, **more)
    return cos, sin


def _matrix(layer: nn.Module) -> Matrix:
    assert isinstance(layer, PackedLinear), "packed just now"
    return layer.matrix


def _part(layer: Any, name: str) -> AdapterLinear:
    found: AdapterLinear = getattr(layer.self_attn, name, None) or getattr(layer.mlp, name)
    return found


def _outputs(linear: AdapterLinear) -> int:
    return int(linear.widths[1])


def _eps(norm: Any) -> float:
    found = getattr(norm, "variance_epsilon", None)
    return float(norm.eps if found is None else found)
