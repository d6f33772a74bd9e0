"""Checkpoints of a training that is begun again, after its machine was taken away or its worker died."""

from pathlib import Path

_WHOLE = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")


def last_checkpoint(folder: Path) -> str | None:
    """The last checkpoint of a folder that is whole; one whose upload was cut off lacks some of its files."""
    whole = [path for path in folder.glob("checkpoint-*") if all((path / name).is_file() for name in _WHOLE)]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None
