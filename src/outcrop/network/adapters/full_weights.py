"""A network's own weights as a Hugging Face directory: config, weights, tokenizer, complete in itself."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.machine.sealed_names import HEADER
from outcrop.network import load
from outcrop.network.adapters.linear import bare

_WEIGHTS = (
    ".safetensors",
    f".safetensors{HEADER}",
    ".safetensors.index.json",
    ".bin",
    ".bin.index.json",
    ".pt",
    ".pth",
    ".gguf",
    ".onnx",
)
_BESIDE = (".json", ".jinja", ".model", ".txt")
"What belongs to a model beside its weights: configurations, tokenizer, chat template."


def save(folder: Path, network: nn.Module, *, like: Path, dtypes: Mapping[str, torch.dtype] | None = None) -> None:
    """Write the network without its adapters, as it will be served; all else is as in the directory `like`.

    `dtypes`: the types of weights that are written otherwise, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in _beside(like):
        shutil.copyfile(path, folder / path.name)
    with bare(network):
        write_weights(folder, network, _own_tensors(network, dtypes or {}))


def write_weights(folder: Path, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Write the weights alone into `folder`: what else the library writes would replace what is there."""
    weights = folder / ".weights"
    saver: Any = network
    saver.save_pretrained(weights, state_dict=tensors)
    for path in weights.iterdir():
        if path.name.endswith(_WEIGHTS):
            path.rename(folder / path.name)
    shutil.rmtree(weights)


def link(folder: Path, whole: Path) -> None:
    """Link a whole model into another folder, as hard links, or copies where there can be none.

    Either folder may go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*_beside(whole), *(p for p in whole.iterdir() if p.name.endswith(_WEIGHTS))]:
        if path.name.startswith("adapter_"):
            continue
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copyfile(path, folder / path.name)


def _beside(folder: Path) -> list[Path]:
    """Files of a model that are no weights, and nothing of ours that may lie beside them."""
    ours = ("parity.json", "lineage.json")
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in _BESIDE and path.name not in ours and not path.name.endswith(_WEIGHTS)
    ]


def _own_tensors(network: nn.Module, dtypes: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
    """Copies of all weights, in memory of their own.

    Training lays them all into one vector, which looks like one shared weight.

    Tied weights stay tied.
    """
    copies: dict[tuple[int, torch.Size], Tensor] = {}
    found = {}
    for name, tensor in network.state_dict().items():
        key = (tensor.data_ptr(), tensor.shape)
        if key not in copies:
            served = load.serving_dtype() if tensor.is_floating_point() else tensor.dtype
            dtype = dtypes.get(name, served)
            copies[key] = tensor.detach().to(dtype, copy=True)
        found[name] = copies[key]
    return found
