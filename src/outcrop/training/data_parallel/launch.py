"""A run on several devices of this machine: the calling process is the first rank, the others are its children.

They meet at a file in a folder of their own and speak over the loopback interface. A child that ends before its time
ends the run with RankLostError; the children of a process that ends are ended with it.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.distributed.distributed_c10d import Store

from outcrop.errors import MachineTrouble
from outcrop.machine.environment import inherited
from outcrop.training.data_parallel.ranks import (
    ALONE,
    RankLostError,
    Ranks,
    joined,
    store_at,
)
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask

_PAUSE_S = 0.05
_GRACE_S = 60.0

Stage = Callable[[TrainingTask, Hooks, Ranks], TrainingResult]
"What each rank of a run does: `finetune.run`, `pretrain.run`."


@dataclass(frozen=True, kw_only=True)
class RankTask:
    """The task of one rank, as a child process reads it: which stage of which task, as which rank."""

    stage: Stage
    "A function of a module, since it travels by its name."
    task: TrainingTask
    rank: int
    size: int
    meeting_point: Path

    def store(self) -> Store:
        """Where this rank is announced, and the addresses of all are found."""
        store = store_at(self.meeting_point, self.size)
        store.set(_here(self.rank), "here")
        return store


def on_devices(stage: Stage, task: TrainingTask, hooks: Hooks, *, devices: int) -> TrainingResult:
    """Run a stage on `devices` GPUs, or in as many processes where the machine has none.

    Raises Refusal, RankLostError, and MachineTrouble for less than one device, or more than there are GPUs.
    """
    if devices == 1:
        return stage(task, hooks, ALONE)
    _check(devices)
    with tempfile.TemporaryDirectory(prefix="outcrop-ranks-") as folder, _local():
        first = RankTask(stage=stage, task=task, rank=0, size=devices, meeting_point=Path(folder) / "meeting")
        with _children(first) as children:
            store = first.store()
            _wait_for_all(store, children)
            use_device(0)
            with joined(0, devices, store=store) as ranks:
                return stage(task, hooks, ranks)


def use_device(rank: int) -> None:
    """Let `cuda` mean this rank's own GPU."""
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)


def _check(devices: int) -> None:
    if devices < 1:
        raise MachineTrouble(f"OUTCROP_DEVICES is {devices}. Set it to 1 or more, or leave it out.")
    found = torch.cuda.device_count()
    if 0 < found < devices:
        raise MachineTrouble(
            f"OUTCROP_DEVICES is {devices}, and this machine has {found} GPU{'s' if found > 1 else ''}. "
            f"Set it to {found} or fewer."
        )


@contextmanager
def _local() -> Iterator[None]:
    """Gloo and NCCL listen on the loopback interface alone: the ranks are on one machine, and trust each other."""
    names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
    before = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.update(dict.fromkeys(names, "lo0" if sys.platform == "darwin" else "lo"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _children(first: RankTask) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """The other ranks. Left in order, they have a minute to end; left with an error, they are ended."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(1, first.size):
            child = subprocess.Popen(
                [sys.executable, "-m", "outcrop.training.data_parallel.rank_main"],
                stdin=subprocess.PIPE,
                env=inherited(),
            )
            children.append(child)
            assert child.stdin is not None
            orders = replace(first, rank=rank)
            with child.stdin as stdin:
                pickle.dump(orders, stdin)
        yield children
        deadline = time.monotonic() + _GRACE_S
        for child in children:
            child.wait(max(0.0, deadline - time.monotonic()))
    except BrokenPipeError as error:
        raise RankLostError("A device's process ended as soon as it was started; the worker's log has more.") from error
    except subprocess.TimeoutExpired:
        pass  # the run is over and whole; who hangs now is ended below
    finally:
        for child in children:
            child.kill()
            child.wait()


def _wait_for_all(store: Store, children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until every rank has come, or one has ended."""
    names = [_here(rank) for rank in range(1, len(children) + 1)]
    while not store.check(names):
        for rank, child in enumerate(children, start=1):
            if child.poll() is not None:
                raise RankLostError(
                    f"The process of device {rank} ended before training began (exit code {child.returncode}). "
                    "The run is begun again; the worker's log has more."
                )
        time.sleep(_PAUSE_S)


def _here(rank: int) -> str:
    return f"here/{rank}"
