"""Near duplicates of a file, found beside one epoch of training on its records: `make bench-near-duplicates FILE=…`.

The training's time is the estimate that `outcrop estimate` gives for the built-in starter model, by LoRA, on this
machine. The records are read before anything is timed.
"""

import argparse
from pathlib import Path

import numpy as np

from bench.measuring import Row, lower_is_better, report, seconds
from outcrop.datasets.encoding import encode
from outcrop.datasets.observing.near_duplicates import NearRecords
from outcrop.datasets.observing.observer import SeenRecord, text_of
from outcrop.datasets.reading import read_file
from outcrop.datasets.records import Record, digest
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.estimate import requirements
from outcrop.training.estimate.requirements import Lengths
from outcrop.training.task import TrainingHyper
from tests.support.small_tokenizers import BUNDLED

GOAL = 10.0
_MEASURED = 1_000
"Records that are encoded for the estimate; their lengths stand for those of all."


def near_duplicates(path: Path) -> Row:
    """The seconds for all near duplicates of a file of prompts and completions, and those of its training."""
    records = [line.record for line in read_file(path, customization="FINE_TUNING") if line.record is not None]
    seen = [SeenRecord(record=each, encoded=(), text=text_of(each), digest=digest(each)) for each in records]
    found = NearRecords()

    def find() -> None:
        for each in seen:
            found.add(each)
        found.close()
        found.found(np.arange(len(seen)))

    return lower_is_better(
        f"near duplicates of {len(records):,} records, beside an epoch on them",
        ours=seconds(find),
        peer=_epoch(records),
        unit="s",
        goal=GOAL,
    )


def _epoch(records: list[Record]) -> float:
    tokenizer = Tokenizer.open(BUNDLED)
    lengths = []
    for record in records[:_MEASURED]:
        encoded = encode(record, tokenizer, context_length=2_048, name="bench")
        lengths += [len(sequence.ids) for sequence in encoded] if isinstance(encoded, list) else []
    hyper = TrainingHyper(epochs=1, batch_size=8, learning_rate=1e-4)
    measured = requirements.estimate(BUNDLED, Lengths(training=lengths, supervised=sum(lengths) // 4), hyper)
    return measured.steps * measured.step_s * len(records) / len(lengths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="JSON Lines of prompts and completions")
    report("near_duplicates", [near_duplicates(parser.parse_args().file)])


if __name__ == "__main__":
    main()
