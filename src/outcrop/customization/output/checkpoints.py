"""Model checkpoints of a job in its output bucket, each a folder that CreateCustomModel takes.

<output>/model-customization-job-<id>/checkpoints/step-00000120/
    the files of a custom model
    checkpoint.json      written last: what it is, and the SHA-256 of each file; without it there is no checkpoint
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.customization.output.artifacts import Artifacts
from outcrop.customization.output.checkpoint_files import MANIFEST
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.metrics import ModelCheckpoint

FOLDER = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The facts that all checkpoints of a job have in common."""

    job_arn: str
    base_id: str
    parent_arn: str | None
    customization: str
    prompt_format: PromptFormat


def publish(artifacts: Artifacts, origin: Origin, checkpoint: ModelCheckpoint, folder: Path) -> str:
    """Copy the folder into the bucket; returns its S3 URI. Raises Refusal when the role may not, OSError."""
    place = f"{FOLDER}/{checkpoint.name}"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        artifacts.write_file(f"{place}/{name}", path)
        digests[name] = digest_of(path)
    artifacts.write_json(f"{place}/{MANIFEST}", _manifest(origin, checkpoint, digests))
    return artifacts.uri(place)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(origin: Origin, checkpoint: ModelCheckpoint, digests: dict[str, str]) -> dict[str, Any]:
    return {
        "job": origin.job_arn,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "validation_loss": checkpoint.loss,
        "base_id": origin.base_id,
        "parent": origin.parent_arn,
        "customization_type": origin.customization,
        "prompt_format": origin.prompt_format.value,
        "prompt_day": None if origin.prompt_format.today is None else origin.prompt_format.today.isoformat(),
        "files": digests,
    }
