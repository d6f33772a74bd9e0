"""Adapters made, written and read, in PEFT's layout, whatever their method."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from outcrop.errors import Invalid
from outcrop.network import headers, weight_files
from outcrop.network.adapters import dora, lora, oft
from outcrop.network.adapters.linear import AdapterLinear, Linear, Update, is_transposed, layers, like_of
from outcrop.network.adapters.method import CONFIG_FILE, OFT, WEIGHTS_FILE, Adapter, config_of, is_target, read_adapter
from outcrop.network.weight_files import OpenFile

_PREFIX = "base_model.model."


def add_new(network: nn.Module, adapter: str, method: Adapter, generator: torch.Generator) -> list[nn.Parameter]:
    """Give every target layer a fresh trainable update; returns their parameters in the order of the layers.

    Raises Invalid for a target that no layer answers to, and for OFT on layers that PEFT has no OFT for.
    """
    held = dict(layers(network))
    _check(network, method, list(held))
    parameters: list[nn.Parameter] = []
    for name, layer in held.items():
        if is_target(name, method.targets):
            layer.updates[adapter] = _fresh(layer.base, method, generator)
            parameters += layer.updates[adapter].parameters().values()
    return parameters


def tensors(network: nn.Module, adapter: str) -> dict[str, Tensor]:
    """An adapter's weights by PEFT's names, detached, in the layers' order."""
    return {
        f"{_PREFIX}{name}.{part}": weight.detach()
        for name, layer in layers(network)
        if adapter in layer.updates
        for part, weight in layer.updates[adapter].parameters().items()
    }


def save(folder: Path, network: nn.Module, adapter: str, method: Adapter, *, base: str) -> None:
    """Write an adapter as the network holds it now. `base` is the base model's name."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = tensors(network, adapter)
    save_file({name: tensor.contiguous().cpu() for name, tensor in weights.items()}, folder / WEIGHTS_FILE)
    held = [name for name, layer in layers(network) if adapter in layer.updates]
    targets = method.targets or sorted({name.rsplit(".", 1)[-1] for name in held})
    config = config_of(method, base=base, targets=targets, transposed=is_transposed(network))
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load(
    network: nn.Module, adapter: str, folder: Path, *, trainable: bool = False, open_file: OpenFile | None = None
) -> list[nn.Parameter]:
    """Put an adapter from disk into the layers it names, replacing one of the same name.

    `open_file` opens its weights where they are sealed. Returns its parameters, as `add_new`. Raises Invalid when a
    weight fits no layer of this network.
    """
    method = read_adapter(folder)
    headers.check_file(folder / WEIGHTS_FILE)
    weights = _weights(folder, open_file)
    parts = _by_layer(weights)
    held = dict(layers(network))
    strange = sorted(parts.keys() - held.keys())
    if strange:
        raise Invalid(
            f"{WEIGHTS_FILE}: {strange[0]} is no linear layer of this base model. Use the base it was trained on."
        )
    for layer in held.values():
        layer.updates.pop(adapter, None)
    parameters: list[nn.Parameter] = []
    for name in (n for n in held if n in parts):
        update = _read(name, held[name], method, parts[name], trainable=trainable)
        held[name].updates[adapter] = update
        parameters += update.parameters().values()
    return parameters


def _weights(folder: Path, open_file: OpenFile | None) -> dict[str, Tensor]:
    if open_file is not None and headers.is_sealed(folder):
        return weight_files.read_file(folder / WEIGHTS_FILE, open_file)
    headers.check_plain(folder)
    weights: dict[str, Tensor] = load_file(folder / WEIGHTS_FILE)
    return weights


def _fresh(base: Linear, method: Adapter, generator: torch.Generator) -> Update:
    if isinstance(method, OFT):
        return oft.fresh(base, method)
    direction = lora.fresh(base, method, generator)
    return dora.fresh(base, direction) if method.decomposed else direction


def _read(name: str, layer: AdapterLinear, method: Adapter, parts: Mapping[str, Tensor], *, trainable: bool) -> Update:
    """The update of one layer from its tensors."""
    num_inputs, num_outputs = layer.widths
    place = like_of(layer.base).device
    unread = dict(parts)

    def take(part: str, shape: tuple[int, ...]) -> nn.Parameter:
        weight = unread.pop(part, torch.empty(0))
        if tuple(weight.shape) != shape:
            raise Invalid(f"{name}.{part}: has shape {tuple(weight.shape)}, this base model needs {shape}.")
        return nn.Parameter(weight.float().to(place), requires_grad=trainable)

    update = _assembled(take, method, num_inputs, num_outputs)
    if unread:
        raise Invalid(f"{name}.{sorted(unread)[0]}: is no weight of {method.name}. Save the adapter as plain LoRA.")
    return update


def _assembled(
    take: Callable[[str, tuple[int, ...]], nn.Parameter], method: Adapter, num_inputs: int, num_outputs: int
) -> Update:
    if isinstance(method, OFT):
        block = oft.block_size(num_inputs, method.block_size)
        return oft.OFTUpdate(
            skew_NE=take(oft.SKEW, (num_inputs // block, block * (block - 1) // 2)), terms=method.terms
        )
    direction = lora.LoRAUpdate(
        a_RI=take(lora.A, (method.rank, num_inputs)),
        b_OR=take(lora.B, (num_outputs, method.rank)),
        scale=method.scale,
        dropout=method.dropout,
    )
    if not method.decomposed:
        return direction
    return dora.DoRAUpdate(direction=direction, magnitude_O=take(dora.MAGNITUDE, (num_outputs,)))


def _by_layer(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """PEFT's names taken apart: layer, then part."""
    found: dict[str, dict[str, Tensor]] = {}
    for full, weight in weights.items():
        name = full.removeprefix(_PREFIX)
        part = next((p for p in (lora.A, lora.B, dora.MAGNITUDE, oft.SKEW) if name.endswith(f".{p}")), None)
        layer = name if part is None else name[: -len(part) - 1]
        found.setdefault(layer, {})[part or name] = weight
    return found


def _check(network: nn.Module, method: Adapter, names: list[str]) -> None:
    unknown = [target for target in method.targets if not any(is_target(name, (target,)) for name in names)]
    if unknown:
        ends = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in names}))
        raise Invalid(f"outcrop.targets: {unknown[0]} is no linear layer of this base model. Choose among {ends}.")
    if isinstance(method, OFT) and is_transposed(network):
        raise Invalid(
            "outcrop.method: oft is not to be had for this base model, which keeps its weights transposed: PEFT could "
            "not load the adapter. Choose lora, dora or full."
        )
