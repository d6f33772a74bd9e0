"""What a directory's weights are called and shaped, from the headers of its files. No tensor is read."""

import json
import math
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.network.method import OFT, Full, Method, is_target

_TRANSPOSED = ("gpt2", "openai-gpt")
"Kinds of networks (config.json: model_type) whose layers are transformers' Conv1D."


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every weight in the safetensors files of `folder`; nothing where there are none."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in _header(path).items():
            if name != "__metadata__":
                found[name] = tuple(tensor["shape"])
    return found


def num_parameters(folder: Path) -> int:
    """All numbers of the network, as far as its files tell."""
    count = sum(math.prod(shape) for shape in shapes(folder).values())
    return count or sum(path.stat().st_size for path in folder.glob("*.bin")) // 2


def check_method(folder: Path, method: Method) -> None:
    """Raises Invalid for a method that the network in `folder` cannot be trained by."""
    if isinstance(method, Full):
        return
    if isinstance(method, OFT) and json.loads((folder / "config.json").read_text()).get("model_type") in _TRANSPOSED:
        raise Invalid(
            "hyperParameters.outcrop.method: oft is not to be had for this base model, which keeps its weights "
            "transposed: PEFT could not load the adapter. Choose lora, dora or full."
        )
    layers = linear_layers(folder)
    unknown = [target for target in method.targets if not any(is_target(layer, (target,)) for layer in layers)]
    if layers and unknown:
        ends = ", ".join(sorted({layer.rsplit(".", 1)[-1] for layer in layers}))
        raise Invalid(
            f"hyperParameters.outcrop.targets: {unknown[0]} is no linear layer of this base model. Choose among {ends}."
        )


def linear_layers(folder: Path) -> dict[str, tuple[int, ...]]:
    """The layers that adapters go to, with the shape of their weights."""
    return {name.removesuffix(".weight"): shape for name, shape in shapes(folder).items() if _is_layer(name, shape)}


def _is_layer(name: str, shape: tuple[int, ...]) -> bool:
    """Embeddings and the head stand outside of the numbered layers."""
    return name.endswith(".weight") and len(shape) == 2 and any(part.isdigit() for part in name.split("."))


def _header(path: Path) -> dict[str, Any]:
    """Of a safetensors file: a length of 8 bytes, then JSON."""
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return header
