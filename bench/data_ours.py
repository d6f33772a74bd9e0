"""Our process in `make bench-data`: a JSONL file checked and encoded, as a job does it before it trains."""

import json
import sys
from pathlib import Path
from typing import Any

from bench.train_data import Turns, Watch, peak_bytes
from outcrop.datasets import preflight
from outcrop.tokens.tokenizer import Tokenizer


def main() -> None:
    turns = Turns()
    spec: dict[str, Any] = json.loads(sys.argv[1])
    records = Path(spec["records"])
    encoded = records.with_suffix(".encoded")
    tokenizer = Tokenizer.open(Path(spec["base"]))
    watch = Watch()
    report = preflight.examine(
        [records],
        tokenizer=tokenizer,
        context_length=spec["context_length"],
        customization="FINE_TUNING",
        encoded=[encoded],
    )
    told = watch.read()
    file = report.files[0]
    assert not report.problems, report.to_text()
    turns.answer(**told, peak_bytes=peak_bytes("cpu"), num_records=file.num_records, num_tokens=file.num_tokens)


if __name__ == "__main__":
    main()
