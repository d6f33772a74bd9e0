"""A contestant of `make bench-tune`: trials side by side, one after the other, or one alone; a step of each a turn."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.train_data import Turns, peak_bytes, read_records
from bench.train_ours import example_of, task_of
from outcrop.network.adapters.method import LoRA
from outcrop.training import loop
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.estimate import machine
from outcrop.training.examples import Example
from outcrop.training.metrics import StepMetrics
from outcrop.training.plan import plan_training
from outcrop.training.settled import settled
from outcrop.training.stepping import batch_of, take_step, update
from outcrop.training.task import TrainingTask
from outcrop.training.trials.network import TrialNetwork, budget_of

TakeSteps = Callable[[int], list[StepMetrics]]


def main() -> None:
    turns = Turns()
    spec: dict[str, Any] = json.loads(sys.argv[1])
    tasks = tasks_of(spec)
    examples = [example_of(record) for record in read_records(Path(spec["records"]))]
    with settled(tasks[0].hyper, ALONE):
        steps = together(tasks, examples) if spec["mode"] == "together" else alone(tasks, examples)
        turns.answer(ready=True)
        for step in range(plan_training(examples, (), tasks[0].hyper).steps):
            turns.wait()
            began, began_cpu = time.perf_counter(), time.process_time()
            told = steps(step)
            seconds = time.perf_counter() - began
            turns.answer(
                seconds=seconds,
                cpu_seconds=time.process_time() - began_cpu,
                tokens=sum(each.tokens for each in told),
                peak_bytes=peak_bytes("cpu"),
                loss=sum(each.loss for each in told) / len(told),
                flops=sum(each.flops for each in told) / seconds,
                matmul_flops=machine.matmul_flops(),
            )
    os._exit(0)


def tasks_of(spec: dict[str, Any]) -> list[TrainingTask]:
    """Trials that differ in rank and seed, and so in what they learn when."""
    ranks = spec["ranks"] if spec["mode"] != "one" else spec["ranks"][-1:]
    first = task_of(spec)
    return [
        replace(first, hyper=replace(first.hyper, method=LoRA(rank=rank, alpha=2.0 * rank), seed=seed))
        for seed, rank in enumerate(ranks)
    ]


def together(tasks: Sequence[TrainingTask], examples: Sequence[Example]) -> TakeSteps:
    shared = TrialNetwork(tasks[0])
    names = [f"trial-{number}" for number in range(len(tasks))]
    trained = [shared.add(task, name)[0] for task, name in zip(tasks, names, strict=True)]
    owned = [[replace(example, adapter=name) for example in examples] for name in names]
    plans = [plan_training(examples, (), task.hyper) for task in tasks]
    budget = budget_of([task.hyper for task in tasks])

    def steps(step: int) -> list[StepMetrics]:
        began = time.perf_counter()
        batches = [batch_of(own, plan, task.hyper, step) for own, plan, task in zip(owned, plans, tasks, strict=True)]
        given = {name: batch.examples for name, batch in zip(names, batches, strict=True)}
        losses = shared.compute_gradients(given, token_budget=budget)
        return [
            update(each, plan, task.hyper, batch, losses[name], began=began)
            for each, plan, task, batch, name in zip(trained, plans, tasks, batches, names, strict=True)
        ]

    return steps


def alone(tasks: Sequence[TrainingTask], examples: Sequence[Example]) -> TakeSteps:
    """Each with a network of its own, so that a turn can take a step of every trial."""
    trained = [loop.load_trained(task, ALONE)[0] for task in tasks]
    plans = [plan_training(examples, (), task.hyper) for task in tasks]

    def steps(step: int) -> list[StepMetrics]:
        return [
            take_step(each, examples, plan, task.hyper, step, ALONE)
            for each, plan, task in zip(trained, plans, tasks, strict=True)
        ]

    return steps


if __name__ == "__main__":
    main()
