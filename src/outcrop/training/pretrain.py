"""Continued pre-training: whole texts, every token of which is learned; long ones in consecutive sequences.

The road of one run, which every stage takes in its own file: records become sequences, the network is loaded with what
learns, the steps are planned, and then taken, until the plan's end, no more patience, or a wish to stop.
"""

from outcrop.training import loop
from outcrop.training.checkpoints.checkpointer import Checkpointer
from outcrop.training.data import read
from outcrop.training.data_parallel import launch
from outcrop.training.data_parallel.ranks import ALONE, Ranks
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.plan import plan_training
from outcrop.training.settled import settled
from outcrop.training.task import TrainingTask


def train(task: TrainingTask, hooks: Hooks, *, devices: int = 1) -> TrainingResult:
    """Pre-train further on `devices`, to the task's end or to where it is asked to stop; see `launch.on_devices`."""
    return launch.on_devices(run, task, hooks, devices=devices)


def run(task: TrainingTask, hooks: Hooks, ranks: Ranks = ALONE) -> TrainingResult:
    """Train as one rank, from the last checkpoint in the run's folder if there is one.

    The first rank's hooks are heard.

    Raises Refusal, and RankLostError when another rank ended.
    """
    assert task.customization == "CONTINUED_PRE_TRAINING", "a task for the other stage"
    with settled(task.hyper, ranks):
        data = read(task)
        hooks.on_data(data)
        trained, notes = loop.load_trained(task, ranks)
        plan = plan_training(data.examples, data.evaluated, task.hyper, notes=[*data.notes, *notes])
        hooks.on_plan(plan.to_text())
        with Checkpointer(task, trained.weights, hooks, ranks) as checkpointer:
            begun = loop.begin(task, hooks, trained, data, plan, checkpointer, ranks)
            return loop.to_the_end(begun)
