"""The lineage of a custom model: `lineage.json`, and beside it the digest and origin of each record.

So its origin can be told, and it can be trained anew without some of the records.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outcrop.customization.output.artifacts import Artifacts
from outcrop.customization.verdict import Verdict
from outcrop.datasets import dataset as datasets
from outcrop.datasets.record_file import TRAINING, KnownRecord, RecordFile, read_known
from outcrop.datasets.report import as_json
from outcrop.errors import ModelDamaged
from outcrop.keys.sealed_folder import PLAIN, OpenedKeys, seal_file
from outcrop.store.resources import Resource
from outcrop.training.metrics import TrainingResult
from outcrop.training.task import TrainingTask

if TYPE_CHECKING:
    from outcrop.customization.work import Validated, Work

FILE = "lineage.json"
RECORDS = "records.lineage"
VERSIONS = ("outcrop", "torch", "transformers", "tokenizers", "numpy")
"Programs whose versions may show in the last digits of a weight."
_PUBLISHED = "lineage"


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A dataset of a job: the training data, or a validator."""

    uri: str
    sha256: str
    "Of the file; of the names and digests of several."
    files: tuple[str, ...]
    "Their names."


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The lineage of one custom model, as it lies in the model's folder."""

    document: dict[str, Any]
    folder: Path
    keys: OpenedKeys = PLAIN
    "Of the folder, where it is sealed."

    @property
    def data(self) -> list[DataSource]:
        """The training data, and the validators behind it."""
        return [
            DataSource(uri=each["uri"], sha256=each["sha256"], files=tuple(each.get("files", ())))
            for each in self.document["data"]
        ]

    @property
    def knows_records(self) -> bool:
        """Whether records are known by digest and line; lineages of early versions know datasets as a whole."""
        return (self.folder / RECORDS).is_file()

    def records(self, part: int | None = None) -> Iterator[KnownRecord]:
        """The records of one dataset, or of all, in their order; none where they are not known. Raises Invalid."""
        return (
            read_known(self.folder / RECORDS, part=part, open_file=self.keys.open) if self.knows_records else iter(())
        )


def of_job(
    work: "Work", task: TrainingTask, result: TrainingResult, verdict: Verdict, validated: "Validated"
) -> dict[str, Any]:
    """The document of what this job trained."""
    job, base, spoken = work.record, work.base, validated.spoken
    return {
        "job": job.arn,
        "base": {"id": base.id, "weights": base.engine},
        "parent": job.document["parentArn"],
        "customization_type": task.customization,
        "prompt_format": spoken.value,
        "prompt_day": None if spoken.today is None else spoken.today.isoformat(),
        "data": [
            {
                "uri": uri,
                "sha256": sha256,
                "records": validated.report.num_records_of(part),
                "files": [file.name for file in dataset.files],
            }
            for part, (uri, sha256, dataset) in enumerate(
                zip(_uris(job), validated.sha256, map(datasets.of_path, validated.files), strict=True)
            )
        ],
        "preflight": as_json.counts_of_report(validated.report),
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
        "devices": work.house.settings.devices,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions of the programs that train here."""
    return {name: version(name) for name in VERSIONS}


def leave(
    task: TrainingTask,
    document: dict[str, Any],
    known: Path,
    artifacts: Artifacts,
    *,
    set_aside: frozenset[tuple[int, int]],
) -> None:
    """Write both files beside the model, sealed as it is, and copy them into the job's output."""
    if task.seal is None:
        write(task.output_dir, document, known, set_aside=set_aside)
        publish(task.output_dir, artifacts)
        return
    made = task.seal.scratch / _PUBLISHED
    made.mkdir(exist_ok=True)
    write(made, document, known, set_aside=set_aside)
    publish(made, artifacts)
    for name in (RECORDS, FILE):
        seal_file(made / name, task.output_dir / f".{name}.new", task.seal.data_key)
        (task.output_dir / f".{name}.new").replace(task.output_dir / name)


def write(folder: Path, document: dict[str, Any], known: Path, *, set_aside: frozenset[tuple[int, int]]) -> None:
    """Write both files, each whole or not at all; `set_aside` are file and line of what was held out."""
    with RecordFile(folder / RECORDS) as records:
        for record in read_known(known):
            held_out = record.part == TRAINING and (record.file, record.line) in set_aside
            records.add(record._replace(set_aside=held_out))
    temporary = folder / f".{FILE}.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)


def publish(folder: Path, artifacts: Artifacts) -> None:
    """Copy both files into the job's output. Raises Refusal when the role may not."""
    for name in (FILE, RECORDS):
        artifacts.write_file(f"{_PUBLISHED}/{name}", folder / name)


def read(folder: Path, keys: OpenedKeys = PLAIN) -> Lineage | None:
    """The lineage in a custom model's folder; None for a model that no job here has trained.

    `keys` are those of the folder, where it is sealed. Raises ModelDamaged.
    """
    try:
        document = json.loads(keys.read(folder / FILE))
        data = document["data"]
        if not all(isinstance(each["uri"], str) and isinstance(each["sha256"], str) for each in data):
            raise TypeError("names and digests are texts")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(f"{folder / FILE}: cannot be read. Put it back from a backup.") from error
    return Lineage(document=document, folder=folder, keys=keys)


def copy_files(folder: Path, place: Path) -> None:
    """Copy what there is of both files into another folder."""
    for name in (FILE, RECORDS):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, place / name)


def _uris(job: Resource) -> list[str]:
    validators = job.document["validationDataConfig"]["validators"]
    return [job.document["trainingDataConfig"]["s3Uri"], *(validator["s3Uri"] for validator in validators)]
