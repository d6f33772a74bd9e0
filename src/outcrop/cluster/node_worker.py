"""A worker on a node, started there as the supervisor starts one on a single machine, as a process.

Ray runs this function as a task on the node; it lives as long as the worker. The worker ends with it, however it ends.
What its environment holds (the address of a database with its password, say) comes from a file in the home and never
goes through Ray, whose network may be anybody's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from outcrop.clock import SystemClock
from outcrop.cluster.node_check import FOLDER
from outcrop.errors import MachineTrouble
from outcrop.machine import openmp
from outcrop.machine.environment import inherited
from outcrop.machine.memory_folder import clear_memory

_ENVIRONMENT = "environment.json"
_OF_RAY = ("OMP_NUM_THREADS",)
"Set by Ray for its own programs. The bits of a result depend on the number of threads."
_GRACE_S = 30.0
_CLEARED_AFTER = timedelta(minutes=1)
"So long a folder in memory may be there before that of its run is."
_LOOK_S = 1.0
"So often it is seen whether the node's own process of Ray, which has started this one, is there."


@dataclass(frozen=True, kw_only=True)
class WorkerStart:
    """The start of a worker for one job."""

    home: str
    runs: str
    "Where the folders of running jobs are."
    arguments: tuple[str, ...]
    log: str
    "A file in the home, which the worker appends to."
    node: str
    "The id of the node; empty on the one where the server is: there, the worker shares memory with the engines."
    folder: str | None = None
    "The weights that its job starts from; they may lie outside the home."


class TaskState(Enum):
    """How the task of a worker stands."""

    RUNNING = "running"
    ENDED = "ended"
    "By itself, whatever its exit code."
    GONE = "gone"
    "With its node, or by a kill."
    UNFIT = "unfit"
    "Its node has not what the worker needs."


class TaskReport(NamedTuple):
    """How the task of a worker stands, and what its node lacks where that is the trouble."""

    state: TaskState
    lacks: str = ""


def keep_environment(home: Path, variables: Mapping[str, str]) -> None:
    """Write down what every worker of the cluster has in its environment. The file is this user's alone."""
    path = home / FOLDER / _ENVIRONMENT
    path.parent.mkdir(exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(dict(variables), file)


def run(start: WorkerStart) -> str | None:
    """Run a worker to its end, on the node, in the main thread of Ray's worker process.

    Returns why it could not be started here; None where it was, whatever became of it.
    """
    if start.folder is not None and not Path(start.folder).is_dir():
        return f"it does not see the base model's weights at {start.folder}"
    # Of a worker that was killed here, and whose job went on elsewhere.
    clear_memory(Path(start.home), Path(start.runs), older_than=SystemClock().now() - _CLEARED_AFTER, leases_only=True)
    variables: dict[str, str] = json.loads((Path(start.home) / FOLDER / _ENVIRONMENT).read_text())
    environment = {name: value for name, value in inherited().items() if name not in _OF_RAY}
    environment |= openmp.for_training() | variables | {"OUTCROP_NODE": start.node}
    Path(start.log).parent.mkdir(exist_ok=True, mode=0o700)
    with open(os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "outcrop.worker.serve", *start.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
        )
    parent = os.getppid()
    try:
        _wait(process, parent)
    except BaseException:  # the task was cancelled: the job goes on in another worker
        _end(process)
        raise
    return None


def arguments_of(*, home: Path, host: str, port: int, name: str, job: str) -> Sequence[str]:
    """The arguments of a worker for one job."""
    place = ["--home", str(home), "--host", host, "--port", str(port)]
    return [*place, "--class", "heavy", "--name", name, "--job", job]


def _wait(process: "subprocess.Popen[bytes]", parent: int) -> None:
    """Wait for the end of a worker. Raises MachineTrouble when Ray's own process on this node is gone."""
    while True:
        try:
            process.wait(_LOOK_S)
            return
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                raise MachineTrouble("Ray's process on this node has ended.") from None


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
