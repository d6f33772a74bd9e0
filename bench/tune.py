"""`make bench-tune`: trials of LoRA side by side on one base, beside the same trials one after the other.

Both are our own: the peer is the ordinary loop, a trial after the other in one process. Contestants take turns, step
by step, so that all meet the same weather of the machine; a turn is one optimizer step of every trial. Networks and
records are those of `make bench-train`, eight trials of several ranks, at the batch sizes that users take. Rates are of
tokens. Then whole searches on the starter model, with loading, evaluations and checkpoints, by the wall.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import train_data
from bench.measuring import ROOT, Row, higher_is_better, lower_is_better, report
from bench.train import WARM_UP, Contestant, Turn, ended, peak_of, per_cpu_second, rate_in_turn, rate_of, ratio_of, tell
from outcrop.machine import allocator

WORK = ROOT / "build" / "bench" / "tune"
RANKS = (4, 8, 8, 16, 16, 16, 32, 32)
GOAL, MEMORY_GOAL = 2.5, 1 / 1.5


@dataclass(frozen=True, kw_only=True)
class TuneWork:
    """Trials with batches of one size, on records of one mean length."""

    batch: int
    longest: int = train_data.LONGEST
    "Lengths shrink with it: the mean is 240 tokens at 1024."

    @property
    def name(self) -> str:
        mean = (train_data.PROMPT_TOKENS + train_data.COMPLETION_TOKENS) * self.longest // train_data.LONGEST
        return f"8 trials of LoRA, batches of {self.batch}, {mean} tokens a record"


WORKS = (
    TuneWork(batch=1, longest=256),
    TuneWork(batch=1),
    TuneWork(batch=4, longest=256),
    TuneWork(batch=4),
    TuneWork(batch=16, longest=256),
    TuneWork(batch=16),
)
WHOLE = (1, 16)
"Batch sizes of whole searches."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5, help="measured turns; medians count")
    parser.add_argument("--quick", action="store_true", help="a tiny network and few steps: proves that this runs")
    parser.add_argument("--batch", type=int, help="this batch size only")
    parser.add_argument("--longest", type=int, help="records of this length only")
    parser.add_argument("--threads", type=int, help="of each contestant; by default torch chooses")
    parser.add_argument("--no-whole", action="store_true", help="without whole searches")
    given = parser.parse_args()
    works = (TuneWork(batch=2, longest=64),) if given.quick else WORKS
    rows: list[Row] = []
    notes = [f"ranks {', '.join(map(str, RANKS))}"]
    for work in works:
        if given.batch in (None, work.batch) and given.longest in (None, work.longest):
            shape = "tiny" if given.quick else "small"
            found, note = compare(work, shape=shape, steps=given.steps, threads=given.threads)
            rows += found
            notes.append(note)
    if not given.quick and not given.no_whole:
        for batch in WHOLE:
            if given.batch in (None, batch):
                rows.append(compare_whole(batch))
    if given.quick:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        report("-".join(["tune", *(["one-thread"] if given.threads == 1 else [])]), rows, notes)


def compare(work: TuneWork, *, shape: str, steps: int, threads: int | None) -> tuple[list[Row], str]:
    model = WORK / shape
    model.mkdir(parents=True, exist_ok=True)
    train_data.write_model(model, shape, dtype="float32")
    vocabulary = train_data.SHAPES[shape]["vocab_size"]
    records = train_data.completions(work.batch * (WARM_UP + steps), vocabulary=vocabulary, longest=work.longest)
    place = WORK / f"records-{work.batch}-{work.longest}.jsonl"
    train_data.write_records(place, records)
    spec = {
        "model": str(model), "records": str(place), "batch": work.batch, "learning_rate": 1e-4, "method": "lora",
        "ranks": RANKS, "device": "cpu", "threads": threads,
    }  # fmt: skip
    turns: dict[str, list[Turn]] = {}
    with ExitStack() as stack:
        contestants = {mode: stack.enter_context(ended(start(spec, mode))) for mode in ("together", "alone", "one")}
        for step in range(WARM_UP + steps):
            for mode, contestant in contestants.items():
                turn = contestant.step()
                tell(f"{work.name}, {step}/{steps} {mode}", turn)
                if step >= WARM_UP:
                    turns.setdefault(mode, []).append(turn)
    return rows_of(work, turns), note_of(work, turns)


def start(spec: dict[str, Any], mode: str) -> Contestant:
    return Contestant(Path(sys.executable), "bench.tune_ours", {**spec, "mode": mode}, tuned=True)


def rows_of(work: TuneWork, turns: dict[str, list[Turn]]) -> list[Row]:
    together, alone = turns["together"], turns["alone"]
    used = statistics.median(turn.flops / turn.matmul_flops for turn in alone)
    ours = {"ours": rate_of(together), "peer": rate_of(alone), "ratio": ratio_of(together, alone, rate_in_turn)}
    name = f"{work.name}; one after the other (which does {100 * used:.0f} % of the products of matrices at their best)"
    memory = {"ours": peak_of(together), "peer": peak_of(turns["one"])}
    return [
        higher_is_better(name, **ours, unit="tokens/s", goal=GOAL),
        lower_is_better(f"{work.name}, peak memory; one trial alone", **memory, unit="GB", goal=MEMORY_GOAL),
    ]


def note_of(work: TuneWork, turns: dict[str, list[Turn]]) -> str:
    """Processor time is what a crowded machine changes least."""
    ratio = ratio_of(turns["together"], turns["alone"], per_cpu_second)
    return f"{work.name}: {ratio:.2f} times the tokens a second of processor time"


def compare_whole(batch: int) -> Row:
    seconds = {mode: [whole(mode, batch) for _ in range(2)] for mode in ("together", "alone")}
    best = {mode: min(values) for mode, values in seconds.items()}
    name = f"a whole search of 8 trials on the starter, batches of {batch}; one after the other"
    return higher_is_better(name, ours=60 / best["together"], peer=60 / best["alone"], unit="searches/min", goal=GOAL)


def whole(mode: str, batch: int) -> float:
    shutil.rmtree(WORK / "whole", ignore_errors=True)
    command: Sequence[str] = [sys.executable, "-m", "bench.tune_whole", mode, str(batch), str(WORK / "whole")]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=environment())
    told: dict[str, float] = json.loads(made.stdout.splitlines()[-1])
    print(f"  whole search, batches of {batch}, {mode}: {told['seconds']:.1f} s", file=sys.stderr)
    return told["seconds"]


def environment() -> dict[str, str]:
    import os

    return {**os.environ, **allocator.for_tensors()}


if __name__ == "__main__":
    main()
