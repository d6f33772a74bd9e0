"""A cluster of Ray: its nodes, and tasks on them. The one file that imports Ray.

Ray starts a task where it is told to, counts what the task holds, and says when it ended or its node is gone. It is
told nothing else: what runs is on record in the database.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from outcrop.cluster import node_check, node_worker
from outcrop.cluster.node_check import NodeDemand
from outcrop.cluster.node_worker import TaskReport, TaskState, WorkerStart
from outcrop.cluster.placement import JobNeed
from outcrop.errors import MachineTrouble
from outcrop.machine.nodes import ClusterNode

_CHECK_S = 60.0
"So long a node may take to answer; the first task on a node starts a process there."
_END_S = 40.0


class RayCluster:
    """A connection to a running cluster, as a context. What it has started ends with it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._names: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Raises MachineTrouble where no cluster is found."""
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.WARNING, namespace="outcrop")
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            said = " ".join(str(error).split())[:300]
            raise MachineTrouble(
                f"--cluster {self.address}: no Ray cluster is found there ({said}). Start one on this machine with "
                "`ray start --head`, and join it from the others."
            ) from error
        return self

    def __exit__(self, *_error: object) -> None:
        ray.shutdown()

    def nodes(self) -> list[ClusterNode]:
        """The nodes that are alive, the one of this process first."""
        here = ray.get_runtime_context().get_node_id()
        alive = [node for node in ray.nodes() if node["Alive"]]
        addresses = [node["NodeManagerAddress"] for node in alive]
        found = [_node(node, here=here, is_alone=addresses.count(node["NodeManagerAddress"]) == 1) for node in alive]
        return sorted(found, key=lambda node: (not node.is_here, node.name))

    def check(self, nodes: Sequence[ClusterNode], demand: NodeDemand) -> list[ClusterNode]:
        """The nodes with why they get no job, asked on each of them at the same time."""
        asked = {
            node.id: _on(node.id, ray.remote(node_check.check), num_cpus=0, num_gpus=0, max_retries=0).remote(
                demand, name=node.name, sent_at=time.time()
            )
            for node in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=_CHECK_S)
        return [replace(node, refused=_told(node, asked[node.id])) for node in nodes]

    def start(self, node: str, need: JobNeed, start: WorkerStart) -> Any:
        """Start a worker on this very node; returns its task."""
        task = _on(
            node,
            ray.remote(node_worker.run),
            num_cpus=need.num_cpus,
            num_gpus=need.num_gpus,
            memory=need.memory_bytes,
            max_retries=0,  # whether, where and when it goes on is decided by the lease
        )
        return task.remote(start)

    def report(self, task: Any) -> TaskReport:
        done, _ = ray.wait([task], timeout=0)
        if not done:
            return TaskReport(TaskState.RUNNING)
        try:
            lacks: str | None = ray.get(task)
        except RayError:
            return TaskReport(TaskState.GONE)
        return TaskReport(TaskState.ENDED) if lacks is None else TaskReport(TaskState.UNFIT, lacks)

    def end(self, tasks: Sequence[Any]) -> None:
        """End workers in order: their jobs go on later, from where they are."""
        if not tasks:
            return
        for task in tasks:
            with suppress(RayError):
                ray.cancel(task)
        ray.wait(list(tasks), num_returns=len(tasks), timeout=_END_S)


def _on(node: str, function: Any, **options: Any) -> Any:
    return function.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False), **options)


def _node(told: dict[str, Any], *, here: str, is_alone: bool) -> ClusterNode:
    resources = told["Resources"]
    name = told["NodeManagerAddress"]
    return ClusterNode(
        id=told["NodeID"],
        name=name if is_alone else f"{name} ({told['NodeID'][:8]})",
        num_cpus=resources.get("CPU", 0),
        num_gpus=resources.get("GPU", 0),
        memory_bytes=int(resources.get("memory", 0)),
        is_here=told["NodeID"] == here,
    )


def _told(node: ClusterNode, answer: Any) -> str | None:
    try:
        found: str | None = ray.get(answer, timeout=0.1)
    except RayError as error:
        words = " ".join(str(error).split())
        return f"{node.name}: it could not be asked whether it may run jobs ({words[-300:]}). Install Outcrop there."
    return found
