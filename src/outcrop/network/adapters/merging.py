"""An adapter made part of its base: a whole Hugging Face directory that needs neither Outcrop nor PEFT."""

from pathlib import Path

import torch

from outcrop.network import headers, load
from outcrop.network.adapters import adapter_files, full_weights, linear
from outcrop.network.run_mode import RunMode

_ADAPTER = "merged"
_ROUNDED_TO = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def save_merged(folder: Path, *, base: Path, adapter: Path, way: RunMode) -> None:
    """Write the network in `base` with the adapter in its weights; the sum is made in fp32.

    Each weight is written in the type that it has in the base's own files.
    """
    network = load.load_base(base, trainable=True, way=way)
    linear.hold_adapters(network)
    adapter_files.load(network, _ADAPTER, adapter)
    linear.merge(network, _ADAPTER)
    full_weights.save(folder, network, like=base, dtypes=_types(base))


def _types(base: Path) -> dict[str, torch.dtype]:
    """The types of the base's weights, by name, as far as a sum can be rounded to them."""
    return {name: _ROUNDED_TO[kind] for name, kind in headers.types(base).items() if kind in _ROUNDED_TO}
