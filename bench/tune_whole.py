"""A whole search of `make bench-tune` on the starter model: eight trials, side by side or one after the other.

python -m bench.tune_whole together|alone BATCH FOLDER
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.measuring import ROOT
from bench.trials import starter
from bench.tune import RANKS
from outcrop.network.adapters.method import LoRA
from outcrop.training import finetune
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.trials import side_by_side
from tests.support.trial_runs import FixedTrials

RENGA = ROOT / "examples" / "renga"
TRAINING, VALIDATION = 96, 24


def main() -> None:
    mode, batch, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True)
    tasks = tasks_of(batch, folder)
    began, began_cpu = time.perf_counter(), time.process_time()
    if mode == "together":
        side_by_side.train(tasks[0], FixedTrials(tasks), places=len(tasks))
    else:
        for task in tasks:
            finetune.train(task, Hooks())
    told = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - began_cpu}
    print(json.dumps(told))


def tasks_of(batch: int, folder: Path) -> list[TrainingTask]:
    base = starter()
    assert base.folder is not None
    files = {}
    for name, num in (("train", TRAINING), ("validation", VALIDATION)):
        lines = (RENGA / f"{name}.jsonl").read_text("utf-8").splitlines(keepends=True)[:num]
        files[name] = folder / f"{name}.jsonl"
        files[name].write_text("".join(lines), "utf-8")
    hyper = TrainingHyper(epochs=1, batch_size=batch, learning_rate=1e-3)
    first = TrainingTask(
        base_dir=base.folder, base_name=base.engine, parent_adapter=None, train=files["train"],
        validators=(files["validation"],), customization="FINE_TUNING", hyper=hyper, run_dir=folder, output_dir=folder,
    )  # fmt: skip
    return [
        replace(
            first,
            hyper=replace(hyper, method=LoRA(rank=rank, alpha=2.0 * rank), seed=number),
            run_dir=folder / str(number) / "run",
            output_dir=folder / str(number) / "out",
        )
        for number, rank in enumerate(RANKS)
    ]


if __name__ == "__main__":
    main()
