"""The file `lineage.json`: where a custom model comes from, to the digest of each record.

So its origin can be told, and it can be trained anew without some of the records.
"""

import hashlib
import json
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel
from outcrop.customization.verdict import Verdict
from outcrop.datasets.report import as_json
from outcrop.datasets.report.value import Report
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.metrics import TrainingResult
from outcrop.training.task import TrainingTask

FILE = "lineage.json"
_VERSIONS = ("outcrop", "torch", "transformers", "tokenizers", "numpy")


def of_job(
    job: Resource,
    base: BaseModel,
    task: TrainingTask,
    result: TrainingResult,
    verdict: Verdict,
    checked: Report,
    *,
    spoken: PromptFormat,
) -> dict[str, Any]:
    """The lineage of what this job trained; `spoken` is the form in which the model is spoken to."""
    return {
        "job": job.arn,
        "base": {"id": base.id, "weights": base.engine},
        "parent": job.document["parentArn"],
        "customization_type": task.customization,
        "prompt_format": spoken.value,
        "prompt_day": None if spoken.today is None else spoken.today.isoformat(),
        "data": [
            {"uri": uri, **_digests(path)} for uri, path in zip(_uris(job), (task.train, *task.validators), strict=True)
        ],
        "preflight": as_json.counts_of_report(checked),
        "hyperparameters": {
            "asked": job.document["hyperParameters"],
            "used": {**asdict(task.hyper), "method": {"name": task.hyper.method.name, **asdict(task.hyper.method)}},
        },
        "result": {
            "steps": result.steps,
            "best_step": result.best_step,
            "stopped_early": result.stopped_early,
            "training_loss": result.training_loss,
            "validators": [asdict(validator) for validator in result.validators],
            "notes": list(result.notes),
            **verdict.members,
        },
        "versions": {name: version(name) for name in _VERSIONS},
    }


def write(folder: Path, lineage: dict[str, Any]) -> None:
    """Whole or not at all."""
    temporary = folder / f".{FILE}.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(lineage, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)


def _uris(job: Resource) -> list[str]:
    validators = job.document["validationDataConfig"]["validators"]
    return [job.document["trainingDataConfig"]["s3Uri"], *(validator["s3Uri"] for validator in validators)]


def _digests(path: Path) -> dict[str, Any]:
    """SHA-256 of the file, and of each record's line."""
    whole = hashlib.sha256()
    records = []
    with path.open("rb") as lines:
        for line in lines:
            whole.update(line)
            if line.strip():
                records.append(hashlib.sha256(line.strip()).hexdigest())
    return {"sha256": whole.hexdigest(), "records": records}
