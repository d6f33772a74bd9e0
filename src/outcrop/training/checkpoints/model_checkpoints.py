"""Model checkpoints: the weights during a run, in the layout of a finished one, so each can be served.

Beside the checkpoints that a run goes on from, which hold more and serve nobody.
"""

import shutil
from collections.abc import Sequence
from typing import NamedTuple

from outcrop.errors import MachineTrouble
from outcrop.network.adapters.method import Full
from outcrop.training.checkpoints import output
from outcrop.training.checkpoints.history import History
from outcrop.training.examples import Example
from outcrop.training.metrics import Hooks, ModelCheckpoint
from outcrop.training.plan import TrainingPlan
from outcrop.training.stepping import Trained
from outcrop.training.task import TrainingTask

MOST = 10
"Model checkpoints of one run, the best among them; who wants a finer choice has the losses to choose from."
ROOM_BYTES = 4 * 2**30
"All of them together take no more, but there is always one: whole networks are large."


class CheckpointSchedule(NamedTuple):
    """The steps after which a run leaves model checkpoints."""

    after: frozenset[int]
    "Numbers of steps taken."
    one_for_the_best: bool
    "Whether one more, of the best weights, may come when the run is over."

    @property
    def most(self) -> int:
        return len(self.after) + self.one_for_the_best


def checkpoint_schedule(plan: TrainingPlan, *, num_bytes: int) -> CheckpointSchedule:
    """After each evaluation, or each epoch where nothing is validated; the best weights always have one."""
    ends = range(plan.steps_per_epoch, plan.steps + 1, plan.steps_per_epoch)
    return spread(sorted(plan.evaluate_after) or list(ends), validated=bool(plan.evaluate_after), num_bytes=num_bytes)


def spread(steps: Sequence[int], *, validated: bool, num_bytes: int) -> CheckpointSchedule:
    """All of these steps where they are no more than MOST, nor than there is room for at `num_bytes` each.

    Else as many as may be, evenly spread, with the last; one fewer where something is validated, since the best weights
    may be at none of these.
    """
    most = max(1, min(MOST, ROOM_BYTES // num_bytes))
    if len(steps) <= most:
        return CheckpointSchedule(frozenset(steps), one_for_the_best=False)
    most -= validated
    after = frozenset(steps[len(steps) * part // most - 1] for part in range(1, most + 1))
    return CheckpointSchedule(after, one_for_the_best=validated)


def size_of(task: TrainingTask, trained: Trained) -> int:
    """Bytes of one: the adapter alone, or with the network of its own that it stands on."""
    if isinstance(trained.method, Full) or task.merges_parent:
        return sum(parameter.nbytes for parameter in trained.network.parameters())
    return trained.weights.num_bytes


def publish(
    task: TrainingTask,
    trained: Trained,
    held_out: Sequence[Example],
    history: History,
    hooks: Hooks,
    checkpoint: ModelCheckpoint,
) -> str | None:
    """Write the weights as they are now, hand the folder over, and note it. A full disk is told; training goes on.

    Returns what stands in the folder's parity file, None where it could not be written.
    """
    # It is handed over in clear: in the bucket it is sealed as the bucket's objects are.
    folder = (task.run_dir if task.seal is None else task.seal.scratch) / checkpoint.name
    try:
        parity = output.save(folder, task, trained, held_out=held_out)
        hooks.on_checkpoint(checkpoint, folder)
    except (OSError, MachineTrouble) as error:
        hooks.on_note(f"{checkpoint.name}: the model checkpoint could not be kept ({error}). Training goes on.")
        return None
    else:
        history.checkpoints.append(checkpoint)
        return parity
    finally:
        shutil.rmtree(folder, ignore_errors=True)
