"""Model checkpoints: the weights on the way in the layout of a finished run, so that each can be served like one.

Beside the checkpoints that a run goes on from, which hold more and serve nobody.
"""

import shutil
from collections.abc import Sequence

from outcrop.errors import MachineTrouble
from outcrop.network.method import Full
from outcrop.training import output
from outcrop.training.examples import Example
from outcrop.training.history import History
from outcrop.training.metrics import Hooks, ModelCheckpoint
from outcrop.training.plan import TrainingPlan
from outcrop.training.stepping import Trained
from outcrop.training.task import TrainingTask

MOST = 10
"Of one run; who wants a finer choice has the losses to choose from."
ROOM_BYTES = 4 * 2**30
"All of them together take no more, but there is always one: whole networks are large."


def steps_to_keep(plan: TrainingPlan, *, num_bytes: int) -> frozenset[int]:
    """Numbers of steps taken after which there is a model checkpoint.

    After each evaluation, or each epoch where nothing is validated; where these are more than MOST, or than there is
    room for at `num_bytes` each, as many of them as may be, evenly spread, with the last.
    """
    most = max(1, min(MOST, ROOM_BYTES // num_bytes))
    places = sorted(plan.evaluate_after) or list(range(plan.steps_per_epoch, plan.steps + 1, plan.steps_per_epoch))
    if len(places) <= most:
        return frozenset(places)
    return frozenset(places[len(places) * part // most - 1] for part in range(1, most + 1))


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
) -> None:
    """Write the weights as they are now, hand the folder over, and note it. A full disk is told; training goes on."""
    folder = task.run_dir / checkpoint.name
    try:
        output.save(folder, task, trained, held_out=held_out)
        hooks.on_checkpoint(checkpoint, folder)
    except (OSError, MachineTrouble) as error:
        hooks.on_note(f"{checkpoint.name}: the model checkpoint could not be kept ({error}). Training goes on.")
    else:
        history.checkpoints.append(checkpoint)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
