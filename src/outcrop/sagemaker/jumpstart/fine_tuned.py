"""The tensors of a JumpStart fine-tuning: the training, and what it leaves for a server of models."""

import shutil
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.network.adapters.merging import save_merged
from outcrop.network.adapters.method import Full
from outcrop.sagemaker.jumpstart.content import DESCRIPTION
from outcrop.training import finetune, pretrain
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask

ADAPTER = "adapter"
_STAGES = {
    Customization.FINE_TUNING: finetune.train,
    Customization.CONTINUED_PRE_TRAINING: pretrain.train,
}
_OURS = ("parity.json", DESCRIPTION)
"Files that no server of models reads."


def train(task: TrainingTask, hooks: Hooks, *, devices: int) -> TrainingResult:
    """Train to the task's end, or to where it is asked to stop. Raises Refusal, MachineTrouble."""
    return _STAGES[Customization(task.customization)](task, hooks, devices=devices)


def leave(task: TrainingTask, folder: Path) -> None:
    """Put the whole network of a completed task into `folder`, and an adapter beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(task.hyper.method, Full):
        shutil.copytree(task.output_dir, folder, dirs_exist_ok=True)
    else:
        save_merged(folder, base=task.base_dir, adapter=task.output_dir, way=task.way)
        shutil.copytree(task.output_dir, folder / ADAPTER, ignore=shutil.ignore_patterns(*_OURS))
    for name in _OURS:
        (folder / name).unlink(missing_ok=True)
