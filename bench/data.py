"""`make bench-data`: a dataset checked and tokenized, beside datasets and TRL's SFTTrainer; its memory; scores to ABC.

Each run is a process of its own, which times its work without its imports. TRL gets as many processes as are fastest
for it. Both sides read the same JSONL file of prompts and completions with the same byte-level BPE tokenizer of 32,000
pieces (bench/data_records.py), and both tell how many records they kept.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import data_records
from bench.measuring import ROOT, Row, environment, higher_is_better, interleaved, lower_is_better, report, seconds
from bench.train import PACKAGES
from outcrop.datasets.encoded_file import read_encoded
from outcrop.recipes.musicxml import musicxml
from outcrop.recipes.recipe import Item, Kept
from outcrop.training.examples import Example, example_of_kept

WORK = ROOT / "build" / "bench" / "data"
GOAL, FLAT = 3.0, 0.9
"How many times faster; the memory for a fifth of the records by that for all."


Told = dict[str, float]


def main() -> None:
    given = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    said = data_records.sentences(given.data)
    base = data_records.write_base(WORK / "base", said)
    sizes = (given.records // 5, given.records)
    few, many = (data_records.write_records(WORK / f"{num}.jsonl", said, num) for num in sizes)
    python = environment("train", PACKAGES)
    processes = fastest_processes(python, base, few)
    rows, notes = checked(python, base, many, processes=processes, turns=given.turns)
    rows += [memory(base, few, many), scores(given.data / "openewld-leadsheets")]
    notes = [
        f"TRL in {processes or 1} processes, the faster of 1 and 2 on {sizes[0]:,} records.",
        *notes,
        reading(many),
    ]
    report("data", rows, notes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of test data")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3, help="medians count")
    return parser.parse_args()


def fastest_processes(python: Path, base: Path, records: Path) -> int | None:
    """The number of processes with which TRL is faster on a part of the records. None: it starts none."""
    tried = {processes: trl(python, base, records, processes)["seconds"] for processes in (None, 2)}
    print(f"  TRL by processes: {tried}", file=sys.stderr)
    return min(tried, key=tried.__getitem__)


def checked(
    python: Path, base: Path, records: Path, *, processes: int | None, turns: int
) -> tuple[list[Row], list[str]]:
    """The rates of both sides, and what else they tell."""
    kept: dict[str, list[Told]] = {"ours": [], "peer": []}

    def timed(side: str, run: Callable[[], Told]) -> float:
        told = run()
        kept[side].append(told)
        return told["num_records"] / told["seconds"]

    rates = interleaved(
        {
            "ours": partial(timed, "ours", partial(ours, base, records)),
            "peer": partial(timed, "peer", partial(trl, python, base, records, processes)),
        },
        times=turns,
    )
    own, other = kept["ours"][0], kept["peer"][0]
    assert own["num_records"] == other["num_records"], "both sides keep every record"
    name = f"{own['num_records']:,.0f} records checked and tokenized; datasets and TRL 1.16"
    row = higher_is_better(name, ours=rates["ours"], peer=rates["peer"], unit="records/s", goal=GOAL)
    cpu = {side: statistics.median(told["cpu_seconds"] for told in all_told) for side, all_told in kept.items()}
    more = cpu["peer"] / cpu["ours"]
    return [row], [
        f"{own['num_tokens']:,.0f} tokens in {records.stat().st_size / 1e6:,.0f} MB, as we write them.",
        f"Processor time: {cpu['ours']:.0f} s, and {cpu['peer']:.0f} s of the peer, {more:.1f} times as much.",
    ]


def memory(base: Path, few: Path, many: Path) -> Row:
    """The peak of the process that checks all records, beside that for a fifth of them."""
    peaks = {"ours": ours(base, many)["peak_bytes"] / 1e6, "peer": ours(base, few)["peak_bytes"] / 1e6}
    return lower_is_better("peak memory of the check; a fifth of the records", **peaks, unit="MB", goal=FLAT)


def scores(folder: Path) -> Row:
    """All lead sheets to ABC, in this process, beside the time they may take."""
    made: list[Item] = []
    took = seconds(lambda: made.extend(musicxml([folder])))
    num = sum(isinstance(item, Kept) for item in made)
    return lower_is_better(
        f"lead sheets to {num:,} melodies in ABC; a minute", ours=took, peer=60.0, unit="s", goal=1.0
    )


def reading(records: Path) -> str:
    """The time in which training takes up what the check has encoded."""
    encoded = read_encoded(records.with_suffix(".encoded"), context_length=data_records.CONTEXT_LENGTH)
    assert encoded is not None, "the check has just written it"
    examples: list[Example] = []
    took = seconds(lambda: examples.extend(map(example_of_kept, encoded)))
    return f"{len(examples):,} encoded records become a training run's examples in {took:.1f} s."


def ours(base: Path, records: Path) -> Told:
    return told_by(Path(sys.executable), "bench.data_ours", spec_of(base, records))


def trl(python: Path, base: Path, records: Path, processes: int | None) -> Told:
    return told_by(python, "bench.data_peer", spec_of(base, records) | {"processes": processes})


def spec_of(base: Path, records: Path) -> dict[str, Any]:
    return {"base": str(base), "records": str(records), "context_length": data_records.CONTEXT_LENGTH}


def told_by(python: Path, module: str, spec: dict[str, Any]) -> Told:
    """The answer of a process that does one run."""
    ended = subprocess.run(
        [str(python), "-m", module, json.dumps(spec)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise SystemExit(f"{module} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    found: Told = json.loads(ended.stdout)
    return found


if __name__ == "__main__":
    main()
