"""`make bench-defaults`: which hyperparameters suit the sample tasks on the starter model: whence the defaults come.

    python -m bench.defaults DATA_FOLDER     # the folder with waka-hachidaishu, mts-dialog and jsquad

Measured is the lowest validation loss of a run, which is that of the weights a job keeps; the test records are not
looked at. First the learning rate of each method, then best rates and their neighbours with another seed, then, at
LoRA's best, what else one may choose. Best is the value whose losses lie least above the lowest of each task, on the
mean. Outcomes stand in build/defaults/journal.jsonl; the tables of docs/defaults.md are what is printed.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.measuring import ROOT, machine
from bench.tasks import Choice, prepare, shipped
from bench.trials import Journal, Outcome, Stage, Trial, outcome_of
from outcrop.datasets.records import Customization

WORK = ROOT / "build" / "defaults"
CHOICES = {
    "waka": Choice(train=256, validation=60, longest=120),
    "mts-dialog": Choice(train=128, validation=40, longest=120),
    "jsquad": Choice(train=128, validation=40, longest=120),
}
COMMON = {"epochCount": "2", "outcrop.evaluationsPerEpoch": "1"}

FINE_TUNING: Customization = "FINE_TUNING"
PRE_TRAINING: Customization = "CONTINUED_PRE_TRAINING"
RATES: dict[tuple[Customization, str], Sequence[str]] = {
    (FINE_TUNING, "lora"): ("0.0003", "0.001", "0.003", "0.006", "0.01", "0.03"),
    (FINE_TUNING, "full"): ("0.0001", "0.0003", "0.001", "0.002", "0.003", "0.01"),
    (FINE_TUNING, "oft"): ("0.001", "0.003", "0.01", "0.03"),
    (FINE_TUNING, "dora"): ("0.003", "0.01", "0.03"),
    (PRE_TRAINING, "lora"): ("0.003", "0.01", "0.03"),
    (PRE_TRAINING, "full"): ("0.0003", "0.001", "0.003"),
}
SEEN_TWICE = ((FINE_TUNING, "lora"), (FINE_TUNING, "full"))
"""Whose best rate and its neighbours run with another seed too."""
OTHERS: dict[str, Sequence[str]] = {
    "outcrop.rank": ("4", "8", "16", "32"),
    "batchSize": ("8", "16", "32"),
    "learningRateWarmupSteps": ("0", "10"),
    "outcrop.schedule": ("linear", "cosine", "constant"),
}
LONG = "renga"
"""The quickstart's 2,000 records, at rates around the best: short runs like high rates, and a default has to suit
long ones."""
LONG_RATES = {"lora": ("0.003", "0.006", "0.01"), "full": ("0.001", "0.003")}
DEFAULTS = {"outcrop.rank": "16", "batchSize": "16", "learningRateWarmupSteps": "10", "outcrop.schedule": "linear"}
"""What a run has unless it is about another value; named, so that a later default changes no run that stands."""

Losses = dict[str, dict[str, float]]
"""Validation loss by value and task."""
Measure = Callable[[Trial], Outcome]


def main() -> None:
    records = prepare(Path(sys.argv[1]), WORK / "data", CHOICES) | {LONG: shipped(WORK / "data" / LONG)}
    journal = Journal(WORK / "journal.jsonl")

    def measure(trial: Trial) -> Outcome:
        return outcome_of(trial, records[trial.task], journal, WORK / "runs", with_test=False)

    tables = {_title(*sweep): losses_of(measure, rates, partial(stage, *sweep)) for sweep, rates in RATES.items()}
    for sweep in SEEN_TWICE:
        near = neighbours(RATES[sweep], best_of(tables[_title(*sweep)]))
        tables[f"{_title(*sweep)}, another seed"] = losses_of(measure, near, partial(stage, *sweep), seed=1)
    best = best_of(tables[_title(FINE_TUNING, "lora")])
    for method, rates in LONG_RATES.items():
        made = partial(stage, FINE_TUNING, method)
        tables[f"a long run, {method}: learning rate"] = losses_of(measure, rates, made, tasks=[LONG])
    for name, values in OTHERS.items():
        tables[f"lora at a rate of {best}: {name}"] = losses_of(measure, values, partial(stage_with, best, name))
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine()}")
    for title, losses in tables.items():
        print(f"\n{title}\n\n{table(losses)}")


def _title(customization: Customization, method: str) -> str:
    return f"{customization}, {method}: learning rate"


def stage(customization: Customization, method: str, rate: str, other: Mapping[str, str] | None = None) -> Stage:
    """A run by a method at a rate, all else but `other` as in DEFAULTS."""
    usual = {name: value for name, value in DEFAULTS.items() if name != "outcrop.rank" or method in ("lora", "dora")}
    hyper = {**COMMON, **usual, "outcrop.method": method, "outcrop.learningRate": rate, **(other or {})}
    return Stage(customization=customization, hyper=hyper)


def stage_with(rate: str, name: str, value: str) -> Stage:
    """A fine-tuning by LoRA that is about another value than the rate."""
    return stage(FINE_TUNING, "lora", rate, {name: value})


def losses_of(
    measure: Measure,
    values: Sequence[str],
    stage_of: Callable[[str], Stage],
    *,
    tasks: Sequence[str] = tuple(CHOICES),
    seed: int = 0,
) -> Losses:
    """One run a value and task."""
    losses: Losses = {}
    for value in values:
        made = stage_of(value)
        name = f"{made.hyper['outcrop.method']} {value}"
        trials = {task: Trial(task=task, name=name, stages=(made,), seed=seed) for task in tasks}
        losses[value] = {task: measure(trial).validation_loss for task, trial in trials.items()}
    return losses


def excess(losses: Losses, value: str) -> float:
    """How far the losses of a value lie above the lowest of each task, on the mean, in nats."""
    lowest = lowest_of(losses)
    return sum(losses[value][task] - lowest[task] for task in lowest) / len(lowest)


def lowest_of(losses: Losses) -> dict[str, float]:
    tasks = next(iter(losses.values()))
    return {task: min(row[task] for row in losses.values()) for task in tasks}


def best_of(losses: Losses) -> str:
    return min(losses, key=lambda value: excess(losses, value))


def neighbours(values: Sequence[str], best: str) -> Sequence[str]:
    """The best with the next smaller and the next greater one."""
    place = values.index(best)
    return values[max(0, place - 1) : place + 2]


def table(losses: Losses) -> str:
    """Markdown; the lowest loss of each task, and the least excess, are bold."""
    lowest, best = lowest_of(losses), best_of(losses)
    rows = [f"| | {' | '.join(lowest)} | above the lowest |", "|---" * (len(lowest) + 2) + "|"]
    for value, row in losses.items():
        cells = [bold(_figure(row[task]), on=row[task] == lowest[task]) for task in lowest]
        rows.append(f"| {value} | {' | '.join(cells)} | {bold(_figure(excess(losses, value)), on=value == best)} |")
    return "\n".join(rows)


def bold(text: str, *, on: bool) -> str:
    return f"**{text}**" if on else text


def _figure(number: float) -> str:
    return f"{number:.3f}" if math.isfinite(number) else "diverged"


if __name__ == "__main__":
    main()
