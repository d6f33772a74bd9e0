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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import data_records
from bench.measuring import (
    RESULTS,
    ROOT,
    Row,
    environment,
    higher_is_better,
    interleaved,
    lower_is_better,
    report,
    seconds,
)
from bench.train import PACKAGES
from outcrop.datasets.encoded_file import KeptSequence, read_encoded
from outcrop.datasets.observing.duplicates import Duplicates
from outcrop.datasets.observing.near_duplicates import NearRecords
from outcrop.datasets.observing.observer import SeenRecord, text_of
from outcrop.datasets.reading import read_file
from outcrop.datasets.records import digest
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
    processes = given.processes or fastest_processes(python, base, few)
    rows, notes = checked(python, base, many, processes=processes, turns=given.turns)
    rows += [memory(base, few, many), near(many), scores(given.data / "openewld-leadsheets")]
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
    parser.add_argument("--processes", type=int, help="of TRL; by default what is faster on a fifth of the records")
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


def near(records: Path) -> Row:
    """The search for near duplicates alone, beside a tenth of an epoch of LoRA on the network `small`.

    The rate of training is the one in bench/results/train.json: to train on so many records takes hours.
    """
    tokens = sum(len(kept.ids) for kept in kept_of(records))
    trained = json.loads((RESULTS / "train.json").read_text())["rows"][0]
    assert trained["unit"] == "tokens/s", trained
    took = seconds(lambda: find_near(records))
    name = "near duplicates among them; a tenth of an epoch at the rate of `make bench-train`, small-lora"
    return lower_is_better(name, ours=took, peer=tokens / trained["ours"] / 10, unit="s", goal=1.0)


def find_near(records: Path) -> None:
    near, duplicates = NearRecords(), Duplicates()
    for line in read_file(records, customization="FINE_TUNING"):
        assert line.record is not None, line.problems
        seen = SeenRecord(
            record=line.record, encoded=(), text=text_of(line.record), digest=digest(line.record)
        )  # what is encoded is not looked at
        near.add(seen)
        duplicates.add(seen)
    near.close()
    found = near.found(duplicates.new_to(()))
    assert not found.why_not, found.why_not


def scores(folder: Path) -> Row:
    """All lead sheets to ABC, in this process, beside the time they may take."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".mxl", ".musicxml", ".xml"))
    made: list[Item] = []
    took = seconds(lambda: made.extend(musicxml(files)))
    num = sum(isinstance(item, Kept) for item in made)
    name = f"{len(files):,} lead sheets to {num:,} records of ABC; a minute"
    return lower_is_better(name, ours=took, peer=60.0, unit="s", goal=1.0)


def reading(records: Path) -> str:
    """The time in which training takes up what the check has encoded."""
    examples: list[Example] = []
    took = seconds(lambda: examples.extend(map(example_of_kept, kept_of(records))))
    return f"{len(examples):,} encoded records become a training run's examples in {took:.1f} s."


def kept_of(records: Path) -> Iterator[KeptSequence]:
    encoded = read_encoded(records.with_suffix(".encoded"), context_length=data_records.CONTEXT_LENGTH)
    assert encoded is not None, "the check has just written it"
    return encoded


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
