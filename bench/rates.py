"""`make bench-rates`: the learning rates of public notebooks, as a job reads them, must beat the base on three tasks.

    python -m bench.rates DATA_FOLDER     # the folder with waka-hachidaishu, mts-dialog and jsquad

First the notebooks, by the words of their requests, but for two epochs at most. Then multiples of what suits the
starter model in batches of one record: whence the bounds of `customization/choices/rates.py`. Measured is the
validation loss of the weights a job keeps. Outcomes stand in build/rates/journal.jsonl; bench/results/rates.json has
the notebooks, docs/defaults.md all of it.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.defaults import table
from bench.measuring import ROOT, lower_is_better, report
from bench.tasks import Choice, prepare
from bench.trials import Journal, Outcome, Stage, Trial, outcome_of, understood

WORK = ROOT / "build" / "rates"
CHOICES = {
    "waka": Choice(train=64, validation=32, longest=100),
    "mts-dialog": Choice(train=64, validation=32, longest=100),
    "jsquad": Choice(train=64, validation=32, longest=100),
}
EPOCHS = 2
COMMON = {"outcrop.evaluationsPerEpoch": "1"}


class Notebook(NamedTuple):
    """A public program that creates a job, by what it is about, and the hyperparameters of its request."""

    name: str
    family: str
    epochs: int
    values: Mapping[str, str]


def _values(rate: str, batch: str = "1", **others: str) -> dict[str, str]:
    return {"learningRate": rate, "batchSize": batch, **others}


NOTEBOOKS = (
    Notebook("Titan, sample code of the user guide", "titan-text", 1, _values("0.005", learningRateWarmupSteps="0")),
    Notebook("Titan, event of a finished job", "titan-text", 5, _values("0.05", learningRateWarmupSteps="10")),
    Notebook("Titan, system test of Airflow", "titan-text", 1, _values(".0005", learningRateWarmupSteps="0")),
    Notebook("Titan, Gen Parker", "titan-text", 10, _values("0.00005")),
    Notebook("Titan, page for fine-tuning", "titan-text", 2, _values("0.00003", learningRateWarmupSteps="5")),
    Notebook("Titan, batches of 8", "titan-text", 1, _values("0.00001", "8")),
    Notebook("Llama 2 70B, Gen Parker", "llama", 10, _values("0.00003")),
    Notebook("Llama 3.2 3B", "llama", 5, _values(".0001")),
    Notebook("Cohere Command, Gen Parker", "cohere", 50, _values("0.000005", "8")),
    Notebook("Cohere Command Light, Gen Parker", "cohere", 50, _values("0.00001", "32")),
    Notebook("Claude 3 Haiku, AWS sample", "claude", 2, {"learningRateMultiplier": "1", "batchSize": "32"}),
    Notebook("Claude 3 Haiku, greatest multiplier", "claude", 5, {"learningRateMultiplier": "2", "batchSize": "4"}),
    Notebook("Claude 3 Haiku, least multiplier", "claude", 5, {"learningRateMultiplier": "0.1", "batchSize": "32"}),
    Notebook("Nova, AWS sample", "nova", 2, _values("0.00005", learningRateWarmupSteps="10")),
    Notebook("Nova, lowest of the AWS samples", "nova", 2, _values("0.0000001", learningRateWarmupSteps="10")),
)
SUITS = 0.00075
"""What suits LoRA on the starter model in batches of one record: 0.003 / sqrt(16)."""
TIMES = ("0.1", "1", "2", "4", "20")

Measure = Callable[[Trial], Outcome]


def main() -> None:
    measure = measured(Path(sys.argv[1]))
    rows = [
        lower_is_better(
            f"{book.name}: {task}",
            ours=found.validation_loss,
            peer=found.base_loss,
            unit="nats a token, peer: the base",
            goal=1.0,
        )
        for book in NOTEBOOKS
        for task in CHOICES
        for found in [measure(_trial(task, book.name, _stage(book)))]
    ]
    notes = [f"{book.name}: a rate of {understood(_stage(book)).learning_rate:g}" for book in NOTEBOOKS]
    report("rates", rows, notes)
    print(f"\nbatches of one record\n\n{table(_multiples(measure))}")


def measured(data: Path) -> Measure:
    """Trials on the records of `data`; what stands in the journal is not made again."""
    records = prepare(data, WORK / "data", CHOICES)
    journal = Journal(WORK / "journal.jsonl")
    return lambda trial: outcome_of(trial, records[trial.task], journal, WORK / "runs", with_test=False)


def _stage(book: Notebook) -> Stage:
    values = {**COMMON, **book.values, "epochCount": str(min(book.epochs, EPOCHS))}
    return Stage(customization="FINE_TUNING", hyper=values, family=book.family)


def _multiples(measure: Measure) -> dict[str, dict[str, float]]:
    """Validation loss by multiple and task."""

    def stage(multiple: str) -> Stage:
        rate = f"{float(multiple) * SUITS:.8f}"
        values = {**COMMON, "epochCount": str(EPOCHS), "batchSize": "1", "outcrop.learningRate": rate}
        return Stage(customization="FINE_TUNING", hyper=values)

    return {
        f"{multiple} x": {
            task: measure(_trial(task, f"x {multiple}", stage(multiple))).validation_loss for task in CHOICES
        }
        for multiple in TIMES
    }


def _trial(task: str, name: str, stage: Stage) -> Trial:
    return Trial(task=task, name=name, stages=(stage,))


if __name__ == "__main__":
    main()
