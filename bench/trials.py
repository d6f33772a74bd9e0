"""One trial of an experiment: a chain of training stages, and the model that comes out of it on held-out records.

A stage is what a job runs: its hyperparameters are read as those of a request, and it goes through the stages that the
worker calls, so that plan, order of records, evaluations and the weights that are kept are a job's. Only the records of
an installation and HTTP are left out. A program that was killed goes on where it was: trials that stand in its journal
are not made again, and the one it was in goes on from its last checkpoint, as a killed job does.
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench.measuring import ROOT
from bench.tasks import Records
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.customization.choices import hyperparameters
from outcrop.customization.choices.hyperparameters import Resolved
from outcrop.datasets.records import Customization
from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.method import Method, has_adapter, method_of
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune, pretrain
from outcrop.training.batches import row_of
from outcrop.training.divergence import DivergedError
from outcrop.training.examples import ADAPTER, read_examples
from outcrop.training.loss import nll_of
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingHyper, TrainingTask

BASE = "outcrop.starter-v1"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One job: its type and its hyperparameters, by the names and in the words of a request."""

    customization: Customization
    hyper: Mapping[str, str]
    family: str = "outcrop"
    "Whose names and ranges the hyperparameters have."


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is trained on a task; each stage begins on what the one before left."""

    task: str
    name: str
    "What it is called in a log; two names of the same are one trial."
    stages: tuple[Stage, ...]
    seed: int = 0

    def key(self, records: Records) -> str:
        """Equal for trials that learn the same from the same records and are measured on the same."""
        hypers = [str(understood(stage, self.seed)) for stage in self.stages]  # with all defaults
        told = json.dumps([self.task, [stage.customization for stage in self.stages], hypers, records.digest()])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


class Scored(NamedTuple):
    """A network on one held-out record."""

    nll: float
    "Of all supervised tokens together, in nats."
    num_tokens: int
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a trial: its steps, losses, duration and scores on the test records."""

    steps: int
    best_step: int
    "Of the last stage: steps after which the weights stood that were kept."
    base_loss: float
    validation_loss: float
    "Of the weights that the last stage kept, nats per supervised token; infinite when it diverged."
    seconds: float
    "By the wall, since the program last took the trial up."
    test: list[Scored]
    "The model on the test records, in their order; empty where they were not asked for, or the last stage diverged."


class Journal:
    """Outcomes on disk, one JSON line each, written when a trial is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, Outcome] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.exists() else ():
            told = _read_line(line)
            if told is not None:
                self._outcomes[told["key"]] = _outcome_of(told["outcome"])

    def find(self, key: str) -> Outcome | None:
        return self._outcomes.get(key)

    def add(self, key: str, trial: Trial, outcome: Outcome) -> None:
        line = json.dumps({"key": key, "trial": asdict(trial), "outcome": asdict(outcome)})
        torn = self._path.exists() and not self._path.read_text().endswith("\n")
        with self._path.open("a") as file:
            file.write(("\n" if torn else "") + line + "\n")
        self._outcomes[key] = outcome


def outcome_of(trial: Trial, records: Records, journal: Journal, place: Path, *, with_test: bool) -> Outcome:
    """The outcome of a trial: as the journal has it, or from a run made now."""
    key = trial.key(records)
    known = journal.find(key)
    if known is not None:
        return known
    outcome = run(trial, records, place / key, with_test=with_test)
    journal.add(key, trial, outcome)
    shutil.rmtree(place / key, ignore_errors=True)
    print(
        f"{time.strftime('%H:%M:%S')} {trial.task:10} {trial.name:24} seed {trial.seed}: "
        f"{outcome.base_loss:.3f} -> {outcome.validation_loss:.3f} after {outcome.best_step} of {outcome.steps} steps, "
        f"{outcome.seconds:.0f} s",
        flush=True,
    )
    return outcome


def run(trial: Trial, records: Records, folder: Path, *, with_test: bool) -> Outcome:
    """Train the trial's stages in `folder`, one on the other, and measure what came out. One thread."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    model: Path | None = None
    result: TrainingResult | None = None
    try:
        for number, stage in enumerate(trial.stages):
            model, result = _train(stage, trial.seed, records, folder / str(number), parent=model)
    except DivergedError:
        result = None
    losses = [evaluation.loss for evaluation in result.evaluations] if result else [math.inf]
    return Outcome(
        steps=result.steps if result else 0,
        best_step=result.best_step if result else 0,
        base_loss=losses[0],
        validation_loss=min(losses[1:] or losses),
        seconds=round(time.perf_counter() - started, 1),
        test=score(model, records.test) if with_test and result else [],
    )


def _train(
    stage: Stage, seed: int, records: Records, folder: Path, *, parent: Path | None
) -> tuple[Path, TrainingResult]:
    base = starter()
    assert base.folder is not None
    fine_tuning = stage.customization == "FINE_TUNING"
    adapted = parent is not None and has_adapter(parent)
    resolved = _resolved(stage, seed, parent=None if parent is None else method_of(parent))
    task = TrainingTask(
        base_dir=base.folder if parent is None or adapted else parent,
        base_name=base.engine,
        base_owner=None if parent is None or adapted else "parent",
        parent_adapter=parent if adapted else None,
        train=records.train if fine_tuning else records.train_texts,
        validators=(records.validation if fine_tuning else records.validation_texts,),
        customization=stage.customization,
        hyper=replace(resolved.hyper, threads=1),
        run_dir=folder / "checkpoints",
        output_dir=folder / "model",
    )
    train = finetune.train if fine_tuning else pretrain.train
    return task.output_dir, train(task, Hooks())


def understood(stage: Stage, seed: int = 0) -> TrainingHyper:
    """What a job makes of the stage's hyperparameters, where no custom model is trained further."""
    return _resolved(stage, seed, parent=None).hyper


def _resolved(stage: Stage, seed: int, *, parent: Method | None) -> Resolved:
    rate = starter().learning_rate
    assert rate is not None
    values = hyperparameters.filled(stage.family, {**stage.hyper, "outcrop.seed": str(seed)})
    return hyperparameters.resolve(stage.family, values, recommended_rate=rate, parent=parent)


def score(model: Path | None, test: Path) -> list[Scored]:
    """The custom model in `model`, or the base model, on each record of a file."""
    base = starter().folder
    assert base is not None
    adapter = model if model is not None and has_adapter(model) else None
    network = load.load_base(base if model is None or adapter else model)
    routing = linear.hold_adapters(network)
    if adapter is not None:
        adapter_files.load(network, ADAPTER, adapter)
    tokenizer, context_length = Tokenizer.open(base), load.context_length(base)
    examples = read_examples(test, tokenizer, context_length=context_length, customization="FINE_TUNING")
    with torch.inference_mode():
        nlls = [float(nll_of(network, routing, row_of([example])).double().sum()) for example in examples]
    return [Scored(nll, example.num_supervised, example.num_bytes) for nll, example in zip(nlls, examples, strict=True)]


def loss_of(scored: Sequence[Scored]) -> float:
    """Nats per supervised token over all records."""
    return sum(each.nll for each in scored) / sum(each.num_tokens for each in scored)


@cache
def starter() -> BaseModel:
    return Catalog(ROOT / "build").usable(BASE)


def _read_line(line: str) -> Any:
    """None for the line that a killed program was writing: its trial is made again."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _outcome_of(told: dict[str, Any]) -> Outcome:
    return Outcome(**{**told, "test": [Scored(*each) for each in told["test"]]})
