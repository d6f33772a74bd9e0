"""The peer's process in `make bench-data`: a JSONL file read by datasets, and all that TRL's SFTTrainer makes of it.

Runs in the peers' environment with a specification in JSON as its only argument, and answers with one line of JSON.
Nothing is packed, and nothing taken from an earlier run.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import transformers
import trl  # type: ignore[import-not-found]

from bench.train_data import Turns, Watch, peak_bytes


def main() -> None:
    turns = Turns()
    spec: dict[str, Any] = json.loads(sys.argv[1])
    datasets.disable_progress_bars()
    network = transformers.AutoModelForCausalLM.from_pretrained(spec["base"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(spec["base"])
    with tempfile.TemporaryDirectory(dir=Path(spec["records"]).parent) as folder:
        config = trl.SFTConfig(
            output_dir=folder, max_length=spec["context_length"], packing=False, dataset_num_proc=spec["processes"],
            use_cpu=True, report_to=[], disable_tqdm=True,
        )  # fmt: skip
        watch = Watch()
        rows = datasets.load_dataset("json", data_files=spec["records"], split="train", cache_dir=folder)
        trainer = trl.SFTTrainer(model=network, args=config, train_dataset=rows, processing_class=tokenizer)
        told = watch.read()
        prepared = trainer.train_dataset
        # Its processes' own memory is not in it.
        turns.answer(**told, peak_bytes=peak_bytes("cpu"), num_records=len(prepared))


if __name__ == "__main__":
    main()
