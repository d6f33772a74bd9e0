"""Our own process in `make bench-train`: the trainer's loop, one optimizer step a turn.

Runs with a specification in JSON as its only argument, as `train_peer.py` does.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.train_data import ALPHA, RANK, Record, Turns, peak_bytes, read_records
from outcrop.network.adapters import adapter_files
from outcrop.network.adapters.method import Full, LoRA
from outcrop.training import loop
from outcrop.training.batches import batch_at, steps_per_epoch
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.estimate import machine
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.plan import plan_training
from outcrop.training.settled import settled
from outcrop.training.stepping import take_step
from outcrop.training.task import TrainingHyper, TrainingTask, tokens_at_once


def main() -> None:
    turns = Turns()
    spec: dict[str, Any] = json.loads(sys.argv[1])
    task = task_of(spec)
    examples = [example_of(record) for record in read_records(Path(spec["records"]))]
    with settled(task.hyper, ALONE):
        trained, _ = loop.load_trained(task, ALONE)
        if spec.get("adapter"):
            assert not isinstance(trained.method, Full), "only an adapter can be written at the start"
            adapter_files.save(Path(spec["adapter"]), trained.network, ADAPTER, trained.method, base="bench")
        plan = plan_training(examples, (), task.hyper)
        turns.answer(ready=True)
        for step in range(plan.steps):
            turns.wait()
            began_cpu = time.process_time()
            told = take_step(trained, examples, plan, task.hyper, step, ALONE)
            turns.answer(
                seconds=told.seconds,
                cpu_seconds=time.process_time() - began_cpu,
                tokens=told.tokens,
                peak_bytes=peak_bytes(spec["device"]),
                loss=told.loss,
                flops=told.flops / told.seconds,
                matmul_flops=machine.matmul_flops(),
            )
    os._exit(0)


def task_of(spec: dict[str, Any]) -> TrainingTask:
    method = Full() if spec["method"] == "full" else LoRA(rank=RANK, alpha=ALPHA)
    nowhere = Path(spec["records"])
    hyper = TrainingHyper(
        epochs=1,
        batch_size=spec["batch"],
        learning_rate=spec["learning_rate"],
        method=method,
        threads=spec.get("threads") or torch.get_num_threads(),
        token_budget=spec.get("token_budget") or tokens_at_once(method),
    )
    return TrainingTask(
        base_dir=Path(spec["model"]),
        base_name="bench",
        parent_adapter=None,
        train=nowhere,
        validators=(),
        customization="FINE_TUNING",
        hyper=hyper,
        run_dir=nowhere.parent,
        output_dir=nowhere.parent,
    )


def example_of(record: Record) -> Example:
    ids_T = torch.tensor(record.ids)
    predicted_N = torch.arange(record.num_prompt, len(record.ids))
    return Example(ids_T=ids_T, at_N=predicted_N - 1, target_N=ids_T[predicted_N], num_bytes=0, line=1)


def in_our_order(records: Sequence[Record], *, batch: int) -> list[Record]:
    """The records in the order in which our training loop takes them, from first to last."""
    steps = steps_per_epoch(len(records), batch)
    seed = TrainingHyper(epochs=1, batch_size=batch, learning_rate=0).seed
    return [records[i] for step in range(steps) for i in batch_at(step, len(records), batch_size=batch, seed=seed)]


if __name__ == "__main__":
    main()
