"""The customization jobs of a plan, each by a digest of what decides its model. Cells with one digest share a job.

The digest is a part of the job's name, so that a job which was done once is found again, by this run or a later one.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from outcrop.customization.choices.hyperparameters import THREADS
from outcrop.datasets import dataset
from outcrop.evaluation.bakeoff.plan import BakeoffCell, BakeoffPlan, CustomizationApproach, RetrievalApproach

PREFIX = "bakeoff"
_SEED = "outcrop.seed"
Digest = Callable[[Path], str]
"The digest of a file's content."


@dataclass(frozen=True, kw_only=True)
class SharedJob:
    """A customization job that one or more cells need."""

    model: str
    "Id of the base model."
    parent: "SharedJob | None"
    "The job whose model this one goes on from."
    type: str
    training: Path
    training_digest: str
    validation: Path | None
    validation_digest: str | None
    hyperparameters: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """Equal for jobs that leave the same model behind."""
        decides = {
            "base": self.model if self.parent is None else self.parent.digest,
            "type": self.type,
            "training": self.training_digest,
            "validation": self.validation_digest,
            "hyperparameters": dict(self.hyperparameters),
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of job, custom model and deployment."""
        return f"{PREFIX}-{self.digest[:20]}"

    @property
    def chain(self) -> "tuple[SharedJob, ...]":
        """The job behind those that it goes on from."""
        return (*(self.parent.chain if self.parent is not None else ()), self)


def documents_digest(approach: RetrievalApproach) -> str:
    """Equal for knowledge bases of the same documents, at the same places, cut and found in the same way."""
    documents = sorted((str(each.resolve()), _content(each)) for each in approach.documents)
    decides = [documents, approach.chunk_tokens, approach.encoder]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def digests() -> Digest:
    """Digests of files, each read once."""
    return cache(lambda path: dataset.digest(dataset.of_path(path)))


def job_of(plan: BakeoffPlan, cell: BakeoffCell, digest: Digest) -> SharedJob | None:
    """The job that leaves a cell's model behind; None where the model is asked as it comes."""
    job: SharedJob | None = None
    for approach in plan.chain(cell.customization):
        job = _job(approach, cell.model, job, plan, digest)
    return job


def jobs_of(plan: BakeoffPlan, cells: Iterable[BakeoffCell], digest: Digest) -> list[SharedJob]:
    """Every job that some cell needs, once, each behind the one it goes on from."""
    wanted: dict[str, SharedJob] = {}
    for cell in cells:
        for job in _links(job_of(plan, cell, digest)):
            wanted.setdefault(job.digest, job)
    return list(wanted.values())


def _links(job: SharedJob | None) -> Iterator[SharedJob]:
    yield from job.chain if job is not None else ()


def _job(
    approach: CustomizationApproach, model: str, parent: SharedJob | None, plan: BakeoffPlan, digest: Digest
) -> SharedJob:
    assert approach.type is not None, "a chain has no approach that trains nothing"
    assert approach.training is not None, "what trains has something to train on"
    threads = {} if plan.threads is None else {THREADS: str(plan.threads)}
    hyper = {_SEED: str(plan.seed), **threads, **dict(approach.hyperparameters)}
    return SharedJob(
        model=model,
        parent=parent,
        type=approach.type,
        training=approach.training,
        training_digest=digest(approach.training),
        validation=approach.validation,
        validation_digest=digest(approach.validation) if approach.validation is not None else None,
        hyperparameters=tuple(sorted(hyper.items())),
    )


def _content(place: Path) -> str:
    files = [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.is_file())
    told = []
    for each in files:
        with each.open("rb") as file:
            told.append([each.relative_to(place).as_posix(), hashlib.file_digest(file, "sha256").hexdigest()])
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
