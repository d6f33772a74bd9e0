"""`python -m outcrop.training.data_parallel.rank_main`: one rank of a run on several devices.

Without arguments it is a child of `crew.py`, and reads from its standard input which one. Under torchrun it is given a
file with a pickled TrainingTask, and the first rank prints what it does:

    torchrun --nproc-per-node 2 -m outcrop.training.data_parallel.rank_main task.pickle

Only tasks that one wrote oneself: reading a pickle runs what is in it.
"""

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from outcrop.errors import OutcropError
from outcrop.machine.processes import die_with_parent

if TYPE_CHECKING:
    from outcrop.training.data_parallel.launch import RankTask
    from outcrop.training.metrics import StepMetrics
    from outcrop.training.task import TrainingTask


def main() -> int:
    return _of_torchrun(Path(sys.argv[1])) if len(sys.argv) == 2 else _of_parent()


def _of_parent() -> int:
    die_with_parent()  # before torch, whose import takes seconds in which the parent may be killed
    # The first rank decides when to stop; a signal to the whole group is for it to hear.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from outcrop.training.data_parallel import launch
    from outcrop.training.data_parallel.ranks import RankLostError, joined
    from outcrop.training.metrics import Hooks

    orders: RankTask = pickle.load(sys.stdin.buffer)
    launch.use_device(orders.rank)
    try:
        with joined(orders.rank, orders.size, store=orders.store()) as ranks:
            orders.stage(orders.task, Hooks(), ranks)
    except OutcropError as error:
        # Refusals are the same on every rank, and told by the first.
        return 1 if isinstance(error, RankLostError) else 0
    return 0


def _of_torchrun(path: Path) -> int:
    from outcrop.training import finetune, pretrain
    from outcrop.training.data_parallel import launch
    from outcrop.training.data_parallel.ranks import joined
    from outcrop.training.metrics import Hooks

    task: TrainingTask = pickle.loads(path.read_bytes())
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    launch.use_device(int(os.environ["LOCAL_RANK"]))
    hooks = Hooks(on_plan=_print, on_note=_print, on_step=_print_step) if rank == 0 else Hooks()
    with joined(rank, size) as ranks:
        (finetune if task.customization == "FINE_TUNING" else pretrain).run(task, hooks, ranks)
    return 0


def _print(text: str) -> None:
    print(text, flush=True)


def _print_step(step: "StepMetrics") -> None:
    _print(f"step {step.step}  loss {step.loss:.6f}  rate {step.learning_rate:g}  {step.tokens} tokens")


if __name__ == "__main__":
    sys.exit(main())
