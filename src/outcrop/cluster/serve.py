"""`python -m outcrop.cluster.serve --home H --address auto`: the launcher of a cluster, in a process of its own.

The supervisor keeps it alive. It alone has Ray in it; the server and the supervisor stay as small as they were. When it
dies, Ray ends the workers that it started, and the next one starts others for their jobs.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from sqlalchemy import make_url

from outcrop import kinds as kinds_of
from outcrop import logs, private
from outcrop import settings as settings_of
from outcrop.clock import SystemClock
from outcrop.cluster import node_check, node_worker
from outcrop.cluster.launcher import ClusterLauncher
from outcrop.errors import MachineTrouble
from outcrop.house import House
from outcrop.jobs.kinds import WorkerClass
from outcrop.loops import Loop, LoopEnded
from outcrop.machine.environment import inherited
from outcrop.machine.processes import die_with_parent
from outcrop.settings import Settings

_ROUND_S = 0.2
_HANDED_ON = ("OUTCROP_", "OMP_", "MKL_", "GOMP_")
"Variables that a worker on this machine would have inherited, and on which its result or its place depends."


def main(arguments: Sequence[str] | None = None) -> int:
    die_with_parent()
    private.only_ours()
    asked = _parser().parse_args(arguments)
    logs.write_json_lines()
    stop = threading.Event()

    def hear(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    settings = settings_of.read(home=asked.home, host=asked.host, port=asked.port)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from outcrop.cluster.ray_cluster import RayCluster  # with Ray

    try:
        check_root_key(settings)
        with House.open(settings, SystemClock()) as house, RayCluster(asked.address) as cluster:
            signal.signal(signal.SIGTERM, hear)  # which Ray's own start sets too
            node_worker.keep_environment(settings.home, variables(settings))
            is_sqlite = make_url(settings.database).get_backend_name() == "sqlite"
            demand = node_check.demand(settings.home, is_sqlite=is_sqlite)
            launcher = ClusterLauncher(house, cluster, kinds_of.of_class(WorkerClass.HEAVY), demand)
            _watch(launcher, stop)
    except MachineTrouble as trouble:
        print(trouble.message, file=sys.stderr)
        return 1
    except LoopEnded:
        return 1
    return 0


def _watch(launcher: ClusterLauncher, stop: threading.Event) -> None:
    loop = Loop("cluster")
    try:
        while not stop.is_set():
            with loop.turn():
                launcher.round()
            stop.wait(_ROUND_S)
    finally:
        launcher.close()


def variables(settings: Settings) -> dict[str, str]:
    """The variables of a worker on any node: those of this process, and where records and root key are found."""
    given = {name: value for name, value in inherited().items() if name.startswith(_HANDED_ON)}
    command = {private.ROOT_KEY_COMMAND: settings.root_key_command} if settings.root_key_command else {}
    return given | command | settings.database_variables


def check_root_key(settings: Settings) -> None:
    """Raises MachineTrouble for a root key that is nowhere but in the environment of this machine."""
    if settings.root_key:
        raise MachineTrouble(
            f"{private.ROOT_KEY}: workers on other nodes need the root key, and it is sent over no network. Give "
            f"{private.ROOT_KEY_COMMAND}, a command that prints it on every node, or keep it in the home."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--address", required=True, help="`auto`, or the address of a Ray cluster.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
