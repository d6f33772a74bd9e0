"""LoRA adapters: linear layers that hold many, and their files in PEFT's layout.

A base network is loaded once; `hold_adapters` replaces its linear layers by `AdapterLinear`, which adds the update of
whichever adapter a token belongs to. Training has one adapter for the whole row, an engine several side by side.

Source of the method: Hu et al. 2021, arXiv:2106.09685, section 4.1.
Shapes: T tokens, I input width, O output width, R rank.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from outcrop.errors import Invalid

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """What an adapter is made of."""

    rank: int
    alpha: float

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


class Factors(NamedTuple):
    """The update of one layer: y += scale · x Aᵀ Bᵀ."""

    a_RI: Tensor
    b_OR: Tensor
    scale: float


class Span(NamedTuple):
    """Tokens start..end of the row use this adapter; None is the bare base model."""

    start: int
    end: int
    adapter: str | None


@dataclass(kw_only=True)
class Routing:
    """Which adapter each token of the current row uses. One object shared by all layers, set before each forward."""

    spans: list[Span] = field(default_factory=list)


class AdapterLinear(nn.Module):
    """A frozen linear layer with low-rank updates beside it: y = x Wᵀ + scale · x Aᵀ Bᵀ.

    x_BTI -> y_BTO with B = 1. A starts random, B zero, so a fresh adapter changes nothing.
    """

    def __init__(self, base: nn.Linear | Conv1D, routing: Routing) -> None:
        super().__init__()
        self.base = base
        self.routing = routing
        self.factors: dict[str, Factors] = {}

    @property
    def widths(self) -> tuple[int, int]:
        """(I, O); GPT-2's Conv1D keeps its weight transposed."""
        rows, columns = self.base.weight.shape
        return (rows, columns) if isinstance(self.base, Conv1D) else (columns, rows)

    def forward(self, x_BTI: Tensor) -> Tensor:
        y_BTO: Tensor = self.base(x_BTI)
        for start, end, adapter in self.routing.spans:
            found = self.factors.get(adapter) if adapter is not None else None
            if found is None:
                continue
            whole = end - start == x_BTI.shape[1]
            x = x_BTI if whole else x_BTI[:, start:end]
            # Adapters are kept in fp32, also beside a base in bf16; on a CPU both casts do nothing. The scale meets the
            # R numbers of a token rather than its O: a tenth of a training step was spent on the latter.
            narrow = (x.to(found.a_RI.dtype) @ found.a_RI.T) * found.scale
            update = (narrow @ found.b_OR.T).to(y_BTO.dtype)
            if whole:
                y_BTO = y_BTO + update
            else:
                y_BTO[:, start:end] += update
        return y_BTO


def hold_adapters(network: nn.Module) -> Routing:
    """Replace every linear layer but the LM head by an AdapterLinear; the returned routing steers them all.

    All weights of the base are frozen.
    """
    routing = Routing()
    head = network.get_output_embeddings()  # type: ignore[operator]
    found = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    network.requires_grad_(False)
    for name, layer in found:
        parent, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(parent), attribute, AdapterLinear(layer, routing))
    return routing


def layers(network: nn.Module) -> Iterator[tuple[str, AdapterLinear]]:
    """The layers that hold adapters, with their names in the base network."""
    return ((name, layer) for name, layer in network.named_modules() if isinstance(layer, AdapterLinear))


def add_new(network: nn.Module, adapter: str, shape: LoRA, generator: torch.Generator) -> list[nn.Parameter]:
    """Give every layer a fresh trainable adapter; returns its parameters in the order of the layers."""
    parameters: list[nn.Parameter] = []
    for _, layer in layers(network):
        num_inputs, num_outputs = layer.widths
        bound = 1 / math.sqrt(num_inputs)  # what PEFT draws A from: kaiming_uniform(a=√5)
        place = layer.base.weight.device
        # Drawn on the CPU whatever the device, so that a seed means the same everywhere.
        random_RI = (torch.rand(shape.rank, num_inputs, generator=generator) * 2 - 1) * bound
        a_RI = nn.Parameter(random_RI.to(place))
        b_OR = nn.Parameter(torch.zeros(num_outputs, shape.rank, device=place))
        layer.factors[adapter] = Factors(a_RI, b_OR, shape.scale)
        parameters += [a_RI, b_OR]
    return parameters


def tensors(network: nn.Module, adapter: str) -> dict[str, Tensor]:
    """An adapter's weights by PEFT's names, detached, in the layers' order."""
    named: dict[str, Tensor] = {}
    for name, layer in layers(network):
        found = layer.factors.get(adapter)
        if found is not None:
            named[f"{_PREFIX}{name}.lora_A.weight"] = found.a_RI.detach()
            named[f"{_PREFIX}{name}.lora_B.weight"] = found.b_OR.detach()
    return named


def save(folder: Path, weights: Mapping[str, Tensor], shape: LoRA, *, base: str, transposed: bool) -> None:
    """Write an adapter in PEFT's layout. `base` is the base model's name; `transposed` is true for Conv1D layers."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().cpu() for name, tensor in weights.items()}, folder / WEIGHTS_FILE)
    targets = sorted({name.removeprefix(_PREFIX).rsplit(".lora_", 1)[0].rsplit(".", 1)[-1] for name in weights})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_dropout": 0.0,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": transposed,
        "inference_mode": True,
        "use_rslora": False,
        "use_dora": False,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_shape(folder: Path) -> LoRA:
    """Rank and alpha of an adapter on disk. Raises Invalid for what is not plain LoRA."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise Invalid(f"{path}: missing. An adapter is a folder with {CONFIG_FILE} and {WEIGHTS_FILE}.")
    config = json.loads(path.read_text())
    odd = [k for k in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "modules_to_save") if config.get(k)]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or odd:
        named = ", ".join(odd) or f"{config.get('peft_type')} with bias {config.get('bias', 'none')!r}"
        raise Invalid(f"{path}: {named} is not supported. Save the adapter as plain LoRA.")
    return LoRA(rank=int(config["r"]), alpha=float(config["lora_alpha"]))


def load(network: nn.Module, adapter: str, folder: Path, *, trainable: bool = False) -> list[nn.Parameter]:
    """Put an adapter from disk into the layers it names, replacing one of the same name.

    Returns its parameters, as `add_new`. Raises Invalid when a weight fits no layer of this network.
    """
    shape = read_shape(folder)
    weights = load_file(folder / WEIGHTS_FILE)
    by_layer = dict(layers(network))
    parts = {name.removeprefix(_PREFIX).rsplit(".lora_", 1)[0] for name in weights}
    strange = sorted(parts - by_layer.keys())
    if strange:
        raise Invalid(
            f"{folder / WEIGHTS_FILE}: {strange[0]} is no linear layer of this base model. "
            "Use the base it was trained on."
        )
    unload(network, adapter)
    parameters: list[nn.Parameter] = []
    for name in (n for n in by_layer if n in parts):
        num_inputs, num_outputs = by_layer[name].widths
        place = by_layer[name].base.weight.device
        a_RI = _fitting(weights[f"{_PREFIX}{name}.lora_A.weight"].to(place), (shape.rank, num_inputs), name, trainable)
        b_OR = _fitting(weights[f"{_PREFIX}{name}.lora_B.weight"].to(place), (num_outputs, shape.rank), name, trainable)
        by_layer[name].factors[adapter] = Factors(a_RI, b_OR, shape.scale)
        parameters += [a_RI, b_OR]
    return parameters


def unload(network: nn.Module, adapter: str) -> None:
    """Forget an adapter; nothing happens when no layer holds it."""
    for _, layer in layers(network):
        layer.factors.pop(adapter, None)


def is_transposed(network: nn.Module) -> bool:
    """Whether the layers keep their weights as GPT-2 does (PEFT's `fan_in_fan_out`)."""
    return any(isinstance(layer.base, Conv1D) for _, layer in layers(network))


def _fitting(weight: Tensor, shape: tuple[int, int], layer: str, trainable: bool) -> nn.Parameter:
    if tuple(weight.shape) != shape:
        raise Invalid(f"{layer}: the adapter's weight has shape {tuple(weight.shape)}, this base model needs {shape}.")
    return nn.Parameter(weight.float(), requires_grad=trainable)
