"""The cluster as `outcrop doctor` tells of it: its nodes, what runs where, and why a job waits."""

from dataclasses import asdict
from typing import Any

from outcrop.cli import tables
from outcrop.engines.budget import gib
from outcrop.machine.nodes import ClusterNode, ClusterStatus


def told(status: ClusterStatus | None) -> dict[str, Any] | None:
    """The cluster as JSON; None where none is used."""
    if status is None:
        return None
    nodes = [
        {
            "id": node.id,
            "name": node.name,
            "processors": node.num_cpus,
            "gpus": node.num_gpus,
            "memoryBytes": node.memory_bytes,
            "isHere": node.is_here,
            "refused": node.refused,
        }
        for node in status.nodes
    ]
    return {"address": status.address, "nodes": nodes, "jobs": [asdict(job) for job in status.jobs]}


def wrong(status: ClusterStatus | None) -> list[str]:
    """A sentence for each node that gets no job."""
    return [] if status is None else [node.refused for node in status.nodes if node.refused is not None]


def print_cluster(status: ClusterStatus) -> None:
    """The table of nodes."""
    running: dict[str, list[str]] = {}
    for job in status.jobs:
        if job.node is not None:
            running.setdefault(job.node, []).append(job.name)
    rows = [
        [_name(node), f"{node.num_cpus:g}", f"{node.num_gpus:g}", gib(node.memory_bytes), _runs(node, running)]
        for node in status.nodes
    ]
    print()
    tables.print_rows(["node", "CPUs", "GPUs", "memory", "runs"], rows, as_json=False)


def waiting(status: ClusterStatus) -> list[str]:
    """A sentence for each job that waits."""
    return [f"The job {job.name} waits. {job.waits}" for job in status.jobs if job.waits is not None]


def _name(node: ClusterNode) -> str:
    return f"{node.name}, this one" if node.is_here else node.name


def _runs(node: ClusterNode, running: dict[str, list[str]]) -> str:
    return "refused" if node.refused is not None else ", ".join(running.get(node.name, ())) or "nothing"
