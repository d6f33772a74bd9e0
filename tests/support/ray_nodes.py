"""Several nodes of Ray on one machine, in a process of their own that is told on its standard input what to do.

    with ray_nodes() as nodes:
        node = nodes.add(num_cpus=1, memory_bytes=2**30)    # a raylet of its own, as another machine has
        os.kill(node.pid, signal.SIGKILL)                   # what a machine does whose plug is pulled

Run as a program it is that process: Ray in the process of the tests would bring its threads and its warnings.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_OBJECTS_BYTES = 80_000_000
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # On a machine that is busy with other things a node is slow, and not dead.
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_initial_delay_ms": "60000",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_gcs_rpc_server_connect_timeout_s": "300",
}
_STARTS = 5
"Ray gives a node 30 seconds to start, which on such a machine are too few at times."


@dataclass(frozen=True, kw_only=True)
class RayNode:
    """A node, and the process that stands for its machine."""

    id: str
    pid: int


class RayNodes:
    """The nodes of one cluster."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = str(self._told()["address"])

    def add(self, *, num_cpus: int, memory_bytes: int) -> RayNode:
        return RayNode(**self._ask({"num_cpus": num_cpus, "memory": memory_bytes}))

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                told: dict[str, Any] = json.loads(line)
                return told
        raise AssertionError("Ray ended before it answered")


@contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    """A cluster whose head node runs no job, since it has no processor to give away."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_nodes"],
        env={**os.environ, **_VARIABLES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield RayNodes(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def _started(cluster: Any, resources: dict[str, Any]) -> Any:
    for start in range(_STARTS):
        try:
            return cluster.add_node(object_store_memory=_OBJECTS_BYTES, **resources)
        except Exception as slow:
            if start == _STARTS - 1 or "timed out during startup" not in str(slow):
                raise
    raise AssertionError("the last start returns or raises")


def main() -> None:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "memory": 2**20, "object_store_memory": _OBJECTS_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        node = _started(cluster, json.loads(line))
        (raylet,) = node.all_processes["raylet"]
        print(json.dumps({"id": node.node_id, "pid": raylet.process.pid}), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
