"""Checkpoints: all that a run needs to go on as if nothing had happened.

One safetensors file each, `step-00000340-<digest>.safetensors`, written under another name, flushed to the disk and
renamed, so that a file with such a name is whole unless the disk itself failed; then the digest shows it. The one
before is kept until the next is there.

Of a run that is sealed, the file is sealed content, and the digest is of that.

The file is written piece by piece and hashed on the way: a network trained in full would not fit into memory once more.
Layout of the format: https://huggingface.co/docs/safetensors/index#format
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from outcrop.errors import Invalid
from outcrop.keys.envelopes import DataKey
from outcrop.keys.sealed_content import Sealing, open_file
from outcrop.network import weight_files
from outcrop.training.checkpoints.history import History
from outcrop.training.data_parallel.sharding import ShardedWeights
from outcrop.training.metrics import EvaluationMetrics, ModelCheckpoint, Score, StepMetrics
from outcrop.training.weights import TrainedWeights

_KEPT = 2
_SEALED_AT_ONCE = 8 << 20
_COLUMNS = ("epoch", "loss", "learning_rate", "grad_norm", "tokens", "supervised", "flops", "seconds")
_WHOLE = ("epoch", "tokens", "supervised")
_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """The state after some steps, which no later step changes: it may be written while training goes on."""

    step: int
    tensors: dict[str, Tensor]
    steps: tuple[StepMetrics, ...]
    facts: dict[str, Any]


def snapshot(*, task: str, weights: TrainedWeights | ShardedWeights, history: History) -> Snapshot:
    """The state now. Costs a copy of the weights and of the optimizer's state."""
    tensors = {
        "weights": weights.copy().cpu(),
        "random": torch.get_rng_state(),
        **{f"optimizer/{name}": t.detach().to("cpu", copy=True) for name, t in weights.optimizer_state().items()},
    }
    if history.best_weights is not None:
        tensors["best"] = history.best_weights.cpu()  # replaced by a better one, never changed
    steps = tuple(history.steps)
    return Snapshot(step=len(steps), tensors=tensors, steps=steps, facts=_facts(task, history))


def write(folder: Path, state: Snapshot, *, data_key: DataKey | None = None) -> Path:
    """Put the state on the disk, sealed by the data key if there is one. Raises OSError when it does not get there;
    the checkpoints before it stay."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"step-{state.step:08d}.tmp"
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            pieces = _pieces(state)
            for piece in pieces if data_key is None else _sealed(pieces, data_key):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"step-{state.step:08d}-{digest.hexdigest()[:32]}.safetensors"
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    for older in _newest_first(folder)[_KEPT:]:
        older.unlink(missing_ok=True)
    return path


class Restored(NamedTuple):
    """The contents of a checkpoint as read back; the random state is set already."""

    history: History
    weights: Tensor
    optimizer: dict[str, Tensor]


def resume(
    folder: Path,
    *,
    task: str,
    note: Callable[[str], None],
    at_most: int | None = None,
    data_key: DataKey | None = None,
) -> Restored | None:
    """The newest whole checkpoint's state; None where there is none.

    `data_key` opens those that it has sealed. `at_most` passes over those of more steps. Raises Invalid for
    a checkpoint of another task.
    """
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)  # killed while writing
    damaged = 0
    for path in _newest_first(folder):
        if not _is_whole(path):
            damaged += 1
            note(f"{path.name}: damaged on the disk. The run goes on from the checkpoint before it; nothing to do.")
            path.unlink(missing_ok=True)
        elif at_most is None or _step_of(path) <= at_most:
            return _restore(path, task=task, data_key=data_key)
    if damaged:
        note(f"{folder}: no whole checkpoint is left. The run begins anew; look after the disk.")
    return None


def newest_step(folder: Path) -> int | None:
    """The steps of the newest checkpoint by its name, whole or not; None where there is none."""
    return next((_step_of(path) for path in _newest_first(folder)), None)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, not only the files' contents."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _step_of(path: Path) -> int:
    return int(path.name.split("-")[1])


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # a sector that cannot be read is no better than one that reads wrongly
        return False
    return digest[:32] == path.stem.rsplit("-", 1)[-1]


def _pieces(state: Snapshot) -> Iterator[bytes | memoryview]:
    """The bytes of the file, in order: the header's length, the header, then each tensor."""
    tensors = {**state.tensors, "metrics": _metrics(state.steps)}
    header: dict[str, Any] = {"__metadata__": {"facts": json.dumps(state.facts)}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for tensor in tensors.values():
        yield tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _metrics(steps: tuple[StepMetrics, ...]) -> Tensor:
    columns = [[float(getattr(step, name)) for step in steps] for name in _COLUMNS]
    return torch.tensor(columns, dtype=torch.float64)


def _facts(task: str, history: History) -> dict[str, Any]:
    return {
        "task": task,
        "best_step": history.best_step,
        "best_score": history.best_score and asdict(history.best_score),
        "reference": history.reference,
        "failures": history.failures,
        "base": [asdict(score) for score in history.base],
        "evaluations": [asdict(evaluation) for evaluation in history.evaluations],
        "checkpoints": [asdict(checkpoint) for checkpoint in history.checkpoints],
    }


def _sealed(pieces: Iterator[bytes | memoryview], data_key: DataKey) -> Iterator[bytes | memoryview]:
    sealing = Sealing(data_key)
    yield sealing.head
    for piece in pieces:
        for start in range(0, len(piece), _SEALED_AT_ONCE):
            yield sealing.update(piece[start : start + _SEALED_AT_ONCE])
    yield sealing.finish()


def _read(path: Path, data_key: DataKey | None) -> tuple[dict[str, str], dict[str, Tensor]]:
    if data_key is not None:
        with open_file(path, lambda _wrapped: data_key.plaintext) as sealed:
            return weight_files.read_tensors(sealed, name=path.name)
    with safe_open(path, framework="pt") as file:
        # Copies: what is read is a view of the file, which the next checkpoints remove.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
        return file.metadata(), tensors


def _restore(path: Path, *, task: str, data_key: DataKey | None) -> Restored:
    metadata, tensors = _read(path, data_key)
    facts = json.loads(metadata["facts"])
    if facts["task"] != task:
        raise Invalid(
            f"{path}: a checkpoint of another task (other data, base or hyperparameters). "
            "Give each run a folder of its own."
        )
    prefix = "optimizer/"
    optimizer = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    torch.set_rng_state(tensors["random"])
    history = History(
        steps=_steps(tensors["metrics"]),
        evaluations=[EvaluationMetrics(**evaluation) for evaluation in facts["evaluations"]],
        checkpoints=[ModelCheckpoint(**checkpoint) for checkpoint in facts["checkpoints"]],
        base=[Score(**score) for score in facts["base"]],
        best_step=facts["best_step"],
        best_weights=tensors.get("best"),
        best_score=facts["best_score"] and Score(**facts["best_score"]),
        reference=facts["reference"],
        failures=facts["failures"],
    )
    return Restored(history, tensors["weights"], optimizer)


def _steps(metrics: Tensor) -> list[StepMetrics]:
    rows = metrics.T.tolist()
    return [StepMetrics(step=number, **_members(row)) for number, row in enumerate(rows)]


def _members(row: list[float]) -> dict[str, Any]:
    members = zip(_COLUMNS, row, strict=True)
    return {name: int(value) if name in _WHOLE else value for name, value in members}
