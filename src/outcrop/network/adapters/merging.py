"""An adapter made part of its base: a whole Hugging Face directory that needs neither Outcrop nor PEFT."""

import json
from pathlib import Path

from outcrop.network import load
from outcrop.network.adapters import adapter_files, full_weights, linear
from outcrop.network.run_mode import RunMode

_ADAPTER = "merged"


def save_merged(folder: Path, *, base: Path, adapter: Path, way: RunMode) -> None:
    """Write the network in `base` with the adapter in its weights; the sum is made in fp32.

    The weights are written as they would be served on this machine: fp32, or bf16 where there is a GPU.
    """
    network = load.load_base(base, trainable=True, way=way)
    linear.hold_adapters(network)
    adapter_files.load(network, _ADAPTER, adapter)
    linear.merge(network, _ADAPTER)
    full_weights.save(folder, network, like=base)
    _tell_dtype(folder / "config.json")


def _tell_dtype(path: Path) -> None:
    """Write the dtype of the saved weights into a config.json.

    Who loads the directory shall keep them as they lie in it.
    """
    config = json.loads(path.read_text("utf-8"))
    config.pop("torch_dtype", None)
    config["dtype"] = str(load.serving_dtype()).removeprefix("torch.")
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
