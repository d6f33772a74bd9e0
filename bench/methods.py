"""`make bench-methods`: each method on the sample tasks, by held-out loss, over seeds.

    python -m bench.methods DATA_FOLDER     # the folder with waka-hachidaishu, mts-dialog and jsquad

A seed changes the order of the records and what begins at random; the records of each part stay. All hyperparameters
but method and number of evaluations are a job's defaults. Test records are looked at once, by the model a job leaves.
Outcomes stand in build/methods/journal.jsonl, with the loss of every test record.
"""

import math
import statistics
import sys
import time
from pathlib import Path

from bench.intervals import half_width
from bench.measuring import ROOT, machine
from bench.tasks import Choice, Records, prepare
from bench.trials import Journal, Scored, Stage, Trial, loss_of, outcome_of, score
from outcrop.evaluation.statistics.intervals import estimate

WORK = ROOT / "build" / "methods"
CHOICES = {
    "waka": Choice(train=384, validation=60),
    "mts-dialog": Choice(train=128, validation=40),
    "jsquad": Choice(train=128, validation=40),
}
SEEDS = (0, 1, 2)
COMMON = {"outcrop.evaluationsPerEpoch": "1"}


def fine_tuning(method: str) -> Stage:
    return Stage(customization="FINE_TUNING", hyper={**COMMON, "outcrop.method": method})


READING = Stage(customization="CONTINUED_PRE_TRAINING", hyper={**COMMON, "outcrop.method": "lora"})
REFERENCE = "LoRA"
RECIPES: dict[str, tuple[Stage, ...]] = {
    REFERENCE: (fine_tuning("lora"),),
    "DoRA": (fine_tuning("dora"),),
    "OFT": (fine_tuning("oft"),),
    "full": (fine_tuning("full"),),
    "continued pre-training, then LoRA": (READING, fine_tuning("lora")),
}


def main() -> None:
    records = prepare(Path(sys.argv[1]), WORK / "data", CHOICES)
    journal = Journal(WORK / "journal.jsonl")
    scored: dict[tuple[str, str], list[list[Scored]]] = {}
    for seed in SEEDS:  # outermost, so that a program cut off has whole seeds
        for task in CHOICES:
            for name, stages in RECIPES.items():
                trial = Trial(task=task, name=name, stages=stages, seed=seed)
                outcome = outcome_of(trial, records[task], journal, WORK / "runs", with_test=True)
                scored.setdefault((task, name), []).append(outcome.test)
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine()}, seeds {', '.join(map(str, SEEDS))}")
    for task in CHOICES:
        print(f"\n{task}\n\n{table(task, records[task], {name: scored[task, name] for name in RECIPES})}")


def table(task: str, records: Records, models: dict[str, list[list[Scored]]]) -> str:
    """Markdown: one line the base model, and one each recipe with its seeds."""
    base = score(None, records.test)
    rows = [
        f"| {task} | loss | bits per byte | beside {REFERENCE} | 95 % over records |",
        "|---" * 5 + "|",
        f"| base | {loss_of(base):.3f} | {bits_per_byte(base):.3f} | | |",
    ]
    for name, seeds in models.items():
        losses = [loss_of(each) for each in seeds]
        bits = [bits_per_byte(each) for each in seeds]
        cells = f"{_with_interval(losses)} | {_with_interval(bits)}"
        rows.append(f"| {name} | {cells} | {_beside(seeds, models[REFERENCE]) if name != REFERENCE else '| '}|")
    return "\n".join(rows)


def bits_per_byte(scored: list[Scored]) -> float:
    return sum(each.nll for each in scored) / math.log(2) / sum(each.num_bytes for each in scored)


def _with_interval(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {half_width(values):.3f}"


def _beside(ours: list[list[Scored]], theirs: list[list[Scored]]) -> str:
    """What is lost or won in nats per token, each record's own mean over the seeds taken first."""
    differences = [a - b for a, b in zip(_nats_by_record(ours), _nats_by_record(theirs), strict=True)]
    tokens = [each.num_tokens for each in ours[0]]
    by_token = [nats / num for nats, num in zip(differences, tokens, strict=True)]
    found = estimate(by_token, weights=tokens)
    assert found is not None
    assert found.interval is not None
    return f"{found.mean:+.3f} | {found.interval.low:+.3f} to {found.interval.high:+.3f} "


def _nats_by_record(seeds: list[list[Scored]]) -> list[float]:
    return [statistics.mean(each.nll for each in record) for record in zip(*seeds, strict=True)]


if __name__ == "__main__":
    main()
