"""Checkpoints: all that a run needs to go on as if nothing had happened.

One safetensors file each, `step-00000340-<digest>.safetensors`, written under another name, flushed to the disk and
renamed, so that a file with such a name is whole unless the disk itself failed; then the digest shows it. The one
before is kept until the next is there.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from outcrop.errors import Invalid
from outcrop.training.history import History
from outcrop.training.metrics import EvaluationMetrics, Score, StepMetrics
from outcrop.training.weights import TrainedWeights

_KEPT = 2
_COLUMNS = ("epoch", "loss", "learning_rate", "tokens", "supervised", "seconds")


def write(folder: Path, *, task: str, weights: TrainedWeights, history: History) -> Path:
    """Put the state after `len(history.steps)` steps on the disk. Raises OSError when it does not get there."""
    content = save_tensors(_tensors(weights, history), metadata={"facts": json.dumps(_facts(task, history))})
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()[:32]
    path = folder / f"step-{len(history.steps):08d}-{digest}.safetensors"
    temporary = folder / f"{path.name}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    for older in _newest_first(folder)[_KEPT:]:
        older.unlink(missing_ok=True)
    return path


def resume(folder: Path, *, task: str, weights: TrainedWeights, note: Callable[[str], None]) -> History | None:
    """Put the newest whole checkpoint's state into `weights`, and return its history; None where there is none.

    Raises Invalid for a checkpoint of another task.
    """
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)  # killed while writing
    for path in _newest_first(folder):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest()[:32] != path.stem.rsplit("-", 1)[-1]:
            note(f"{path.name}: damaged on the disk. The run goes on from the checkpoint before it; nothing to do.")
            path.unlink()
            continue
        return _restore(path, content, task=task, weights=weights)
    return None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, not only the files' contents."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _tensors(weights: TrainedWeights, history: History) -> dict[str, Tensor]:
    columns = [[float(getattr(step, name)) for step in history.steps] for name in _COLUMNS]
    tensors = {
        "weights": weights.copy(),
        "metrics": torch.tensor(columns, dtype=torch.float64),
        "random": torch.get_rng_state(),
        **{f"optimizer/{name}": tensor for name, tensor in weights.optimizer_state().items()},
    }
    if history.best_weights is not None:
        tensors["best"] = history.best_weights
    return tensors


def _facts(task: str, history: History) -> dict[str, Any]:
    return {
        "task": task,
        "best_step": history.best_step,
        "reference": history.reference,
        "failures": history.failures,
        "base": [asdict(score) for score in history.base],
        "evaluations": [asdict(evaluation) for evaluation in history.evaluations],
    }


def _restore(path: Path, content: bytes, *, task: str, weights: TrainedWeights) -> History:
    facts = _read_facts(content)
    if facts["task"] != task:
        raise Invalid(
            f"{path}: a checkpoint of another task (other data, base or hyperparameters). "
            "Give each run a folder of its own."
        )
    tensors = load_tensors(content)
    weights.put(tensors["weights"])
    prefix = "optimizer/"
    weights.put_optimizer_state({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    torch.set_rng_state(tensors["random"])
    return History(
        steps=_steps(tensors["metrics"]),
        evaluations=[EvaluationMetrics(**evaluation) for evaluation in facts["evaluations"]],
        base=[Score(**score) for score in facts["base"]],
        best_step=facts["best_step"],
        best_weights=tensors.get("best"),
        reference=facts["reference"],
        failures=facts["failures"],
    )


def _read_facts(content: bytes) -> dict[str, Any]:
    """From the header of the safetensors file: its length in 8 bytes, then JSON."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts: dict[str, Any] = json.loads(header["__metadata__"]["facts"])
    return facts


def _steps(metrics: Tensor) -> list[StepMetrics]:
    rows = metrics.T.tolist()
    return [
        StepMetrics(
            step=number,
            epoch=int(epoch),
            loss=loss,
            learning_rate=rate,
            tokens=int(tokens),
            supervised=int(supervised),
            seconds=seconds,
        )
        for number, (epoch, loss, rate, tokens, supervised, seconds) in enumerate(rows)
    ]
