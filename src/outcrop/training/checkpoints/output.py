"""The folder a run leaves behind: what was trained, and what its serving is compared with.

adapter_config.json, adapter_model.safetensors    an adapter, in PEFT's layout
base-<id>/                                        the whole network below the adapter, where that is not the foundation
                                                  model's; <id> is the custom model that first had it
config.json, model.safetensors, tokenizer.json …  instead of the above: a network trained in full
parity.json                                       the trainer's own log probabilities and greedy tokens on held-out
                                                  records; see `network/parity_file.py`

Of a run that is sealed all of this is made in memory, and sealed on its way to the disk: also what the parent's key had
sealed, so that the child needs no key but its own.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from outcrop.errors import MachineTrouble
from outcrop.keys.sealed_folder import open_in_place, seal_folder
from outcrop.network import load, parity_file
from outcrop.network.adapters import adapter_files, full_weights
from outcrop.network.adapters.linear import Routing
from outcrop.network.adapters.method import OWN_BASE, Full
from outcrop.training import expectation
from outcrop.training.checkpoints.checkpoint import sync_folder
from outcrop.training.examples import Example
from outcrop.training.stepping import Trained
from outcrop.training.task import TrainingTask


def save(
    folder: Path, task: TrainingTask, trained: Trained, *, held_out: Sequence[Example], parity: str | None = None
) -> str:
    """Write what was trained as the network holds it now. All of the folder appears at once, or nothing of it.

    It is sealed where the task says so, unless it stays in memory, in the task's scratch folder. Returns what stands in
    its parity file, which may be given where these very weights were written before. Raises MachineTrouble when the
    disk does not take it.
    """
    making = folder.with_name(f".{folder.name}.making")
    seals = task.seal if task.seal is not None and task.seal.scratch not in folder.parents else None
    written = making if seals is None else seals.scratch / making.name
    try:
        for each in {making, written}:
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir(parents=True)
        _write(written, task, trained)
        text = _parity(written, task, trained, held_out) if parity is None else parity
        (written / parity_file.FILE).write_text(text, "utf-8")
        if seals is not None:
            seal_folder(written, making, seals.data_key, task.keys)
            shutil.rmtree(written)
        _make_durable(making)
        _put_in_place(making, folder)
        return text
    except (OSError, SafetensorError) as error:
        for each in (making, written):
            shutil.rmtree(each, ignore_errors=True)
        raise MachineTrouble(
            f"{folder}: what was trained could not be written ({error}). "
            "Make room on the disk and start the job again; it goes on from its last checkpoint."
        ) from error


def _write(making: Path, task: TrainingTask, trained: Trained) -> None:
    if isinstance(trained.method, Full):
        full_weights.save(making, trained.network, like=task.base_dir)
        return
    adapter_files.save(making, trained.network, trained.adapter, trained.method, base=task.base_name)
    if task.merges_parent:
        full_weights.save(making / f"{OWN_BASE}{task.output_dir.name}", trained.network, like=task.base_dir)
    elif task.base_owner is not None:
        full_weights.link(making / f"{OWN_BASE}{task.base_owner}", task.base_dir)
        if task.seal is not None:  # then this is in memory
            open_in_place(making / f"{OWN_BASE}{task.base_owner}", task.keys)


def _parity(making: Path, task: TrainingTask, trained: Trained, held_out: Sequence[Example]) -> str:
    network, routing = _as_served(making, trained)
    most = task.context_length or load.context_length(task.base_dir)
    found = expectation.of(network, routing, held_out, context_length=most, adapter=trained.adapter)
    return parity_file.text(found)


def _as_served(folder: Path, trained: Trained) -> tuple[nn.Module, Routing]:
    """The network that was trained, unless its weights were written in fewer bits than they were trained in."""
    if isinstance(trained.method, Full) and trained.weights.dtype != load.serving_dtype():
        return load.load_base(folder, way=load.way_of(trained.network)), Routing()
    return trained.network, trained.routing


def _make_durable(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _make_durable(path)
            continue
        with path.open("rb") as file:
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
