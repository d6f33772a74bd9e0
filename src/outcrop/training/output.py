"""The folder a run leaves behind: the adapter in PEFT's layout, and what its serving is compared with.

adapter_config.json, adapter_model.safetensors    the best weights
parity.json                                       [{"ids": […], "logprobs": […]}, …]: the trainer's own log
                                                  probabilities of ids[1:] on held-out records
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from outcrop.errors import MachineTrouble
from outcrop.network import adapters
from outcrop.network.adapters import LoRA, Routing
from outcrop.training.checkpoint import sync_folder
from outcrop.training.examples import Example
from outcrop.training.loss import ADAPTER, log_probabilities

PARITY_FILE = "parity.json"
_PARITY_RECORDS = 8
_PARITY_TOKENS = 512


def save(
    folder: Path, network: nn.Module, routing: Routing, shape: LoRA, *, base_name: str, held_out: Sequence[Example]
) -> None:
    """Write the adapter as the network holds it now: all of the folder appears at once, or nothing of it.

    Raises MachineTrouble when the disk does not take it.
    """
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    try:
        transposed = adapters.is_transposed(network)
        weights = adapters.tensors(network, ADAPTER)
        adapters.save(making, weights, shape, base=base_name, transposed=transposed)
        samples = [_sample(network, routing, example) for example in held_out[:_PARITY_RECORDS]]
        (making / PARITY_FILE).write_text(json.dumps(samples) + "\n")
        _make_durable(making)
        _put_in_place(making, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(making, ignore_errors=True)
        raise MachineTrouble(
            f"{folder}: the trained adapter could not be written ({error}). "
            "Make room on the disk and start the job again; it goes on from its last checkpoint."
        ) from error


def _sample(network: nn.Module, routing: Routing, example: Example) -> dict[str, list[int] | list[float]]:
    ids = example.ids_T[:_PARITY_TOKENS].tolist()
    return {"ids": ids, "logprobs": log_probabilities(network, routing, ids)}


def _make_durable(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _put_in_place(making: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    replaced = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():  # from a run that was killed after this point
        folder.rename(replaced)
    making.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)
