"""`make bench-learning`: held-out loss beside TRL's SFTTrainer, at equal records, token ids, rate, rank and steps.

    python -m bench.learning DATA_FOLDER                # three tasks, three seeds
    python -m bench.learning DATA_FOLDER --train 64     # a shorter one

Both learn the same records by LoRA from the same base in batches of 16, with the same schedule, and keep the weights of
the epoch with the lowest validation loss; test records are looked at by those alone. A seed changes the order of the
records and the adapter's beginning, each library in its own way, so that figures differ from run to run: what is asked
is whether our mean lies above TRL's by more than that. TRL lives in the environment that `make bench-train` makes.
Outcomes of both stand in build/learning; runs that stand there are not made again.
"""

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.intervals import half_width
from bench.measuring import PEERS, RESULTS, ROOT, environment, machine
from bench.tasks import Choice, Records, prepare
from bench.train import PACKAGES
from bench.trials import Journal, Stage, Trial, loss_of, outcome_of, score, starter, understood
from outcrop.network import load
from outcrop.network.adapters.method import LoRA
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.examples import Example, read_examples

WORK = ROOT / "build" / "learning"
TASKS = ("waka", "mts-dialog", "jsquad")
SEEDS = (0, 1, 2)
COMMON = {"epochCount": "3", "batchSize": "16", "outcrop.evaluationsPerEpoch": "1"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure held-out loss beside TRL's.")
    parser.add_argument("data", type=Path, help="folder with waka-hachidaishu, mts-dialog and jsquad")
    parser.add_argument("--tasks", type=lambda told: told.split(","), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--train", type=int, default=384, help="training records of each task")
    parser.add_argument("--longest", type=int, default=120, help="tokens of the longest record")
    options = parser.parse_args(arguments)
    python = PEERS / "train" / "bin" / "python"
    if not python.exists():
        python = environment("train", PACKAGES)
    choice = Choice(train=options.train, validation=40, longest=options.longest)
    records = prepare(
        options.data, WORK / f"data-{options.train}-{options.longest}", dict.fromkeys(options.tasks, choice)
    )
    losses: dict[str, dict[str, list[float]]] = {task: {"ours": [], "TRL": []} for task in options.tasks}
    for seed in range(options.seeds):  # outermost, so that a program cut off has whole seeds
        for task in options.tasks:
            losses[task]["ours"].append(ours(records[task], task, seed))
            losses[task]["TRL"].append(theirs(records[task], seed, python))
            print(
                f"{task}, seed {seed}: ours {losses[task]['ours'][-1]:.3f}, TRL {losses[task]['TRL'][-1]:.3f}",
                flush=True,
            )
    bases = {task: loss_of(score(None, records[task].test)) for task in options.tasks}
    keep(losses, bases, options)
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine()}, {options.seeds} seeds, {options.train} records\n")
    print(table(losses, bases))


def ours(records: Records, task: str, seed: int) -> float:
    """Our loss on the test records, in nats per token, of the epoch that validation has chosen."""
    trial = Trial(task=task, name="ours", stages=(stage(),), seed=seed)
    return loss_of(outcome_of(trial, records, Journal(WORK / "journal.jsonl"), WORK / "runs", with_test=True).test)


def stage() -> Stage:
    return Stage(customization="FINE_TUNING", hyper=COMMON)


def theirs(records: Records, seed: int, python: Path) -> float:
    """TRL's, likewise."""
    hyper = understood(stage(), seed)
    assert isinstance(hyper.method, LoRA), "the usual method"
    base = starter().folder
    assert base is not None, "the starter is here"
    spec: dict[str, Any] = {
        "model": str(base), "seed": seed, "rank": hyper.method.rank, "alpha": hyper.method.alpha,
        "rate": hyper.learning_rate, "warmup": hyper.warmup_steps, "epochs": hyper.epochs, "batch": hyper.batch_size,
    }  # fmt: skip
    examples = {part: read(base, getattr(records, part)) for part in ("train", "validation", "test")}
    folder = WORK / "trl" / hashlib.sha256(json.dumps([spec, records.digest()]).encode()).hexdigest()[:16]
    if not (folder / "out.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for part, of_part in examples.items():
            (folder / f"{part}.json").write_text(json.dumps([row(each) for each in of_part]))
            spec[part] = str(folder / f"{part}.json")
        # Steps are shortened for both: fewer than the warmup would never reach the rate.
        spec["warmup"] = min(spec["warmup"], math.ceil(len(examples["train"]) / spec["batch"]) * spec["epochs"] // 2)
        told = json.dumps({**spec, "out": str(folder / "out.part")})
        subprocess.run([str(python), "-m", "bench.learning_peer", told], check=True, cwd=ROOT)
        (folder / "out.part").rename(folder / "out.json")
    found = json.loads((folder / "out.json").read_text())
    best = min(found["epochs"], key=lambda epoch: sum(epoch["validation"]))
    return float(sum(best["test"])) / sum(each.num_supervised for each in examples["test"])


def read(base: Path, path: Path) -> list[Example]:
    return read_examples(
        path, Tokenizer.open(base), context_length=load.context_length(base), customization="FINE_TUNING"
    )


def row(example: Example) -> dict[str, list[int]]:
    """The example as TRL takes it: a label at the place of its own token; TRL shifts them."""
    labels = [-100] * len(example)
    ids = example.ids_T.tolist()
    for at, target in zip(example.at_N.tolist(), example.target_N.tolist(), strict=True):
        if at + 1 == len(labels):
            ids, labels = [*ids, target], [*labels, -100]
        labels[at + 1] = target
    return {"input_ids": ids, "labels": labels}


def keep(losses: dict[str, dict[str, list[float]]], bases: dict[str, float], options: argparse.Namespace) -> None:
    told = {
        "date": time.strftime("%Y-%m-%d"), "machine": machine(), "train": options.train, "longest": options.longest,
        "losses": losses, "base": bases,
    }  # fmt: skip
    (RESULTS / "learning.json").write_text(json.dumps(told, indent=1) + "\n")


def table(losses: dict[str, dict[str, list[float]]], bases: dict[str, float]) -> str:
    """Markdown: means over seeds, after ± the 95 % interval over them (Student's t), and the difference."""
    rows = ["| task | base | ours | TRL | ours less TRL |", "|---|---|---|---|---|"]
    for task, each in losses.items():
        differences = [a - b for a, b in zip(each["ours"], each["TRL"], strict=True)]
        cells = [_told(each["ours"]), _told(each["TRL"]), _told(differences, sign="+")]
        rows.append(f"| {task} | {bases[task]:.3f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _told(values: Sequence[float], *, sign: str = "") -> str:
    mean = f"{statistics.mean(values):{sign}.3f}"
    return f"{mean} ± {half_width(values):.3f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main(sys.argv[1:])
