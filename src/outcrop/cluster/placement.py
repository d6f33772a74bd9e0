"""Placement: on which node each waiting job begins, and why the others wait. A pure decision.

Jobs come in the order of the queue. One that has to wait keeps the nodes that could hold it: a small job behind it does
not take the room that it waits for. A job that no node could ever hold keeps none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from outcrop.machine.nodes import ClusterNode

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class JobNeed:
    """The part of a node that a job holds while it runs."""

    num_cpus: float | None
    "None: every CPU of its node."
    num_gpus: float
    memory_bytes: int
    lacking: Mapping[str, str] = field(default_factory=dict)
    "By the id of a node: what the job needs and the node has not."

    def on(self, node: ClusterNode) -> "JobNeed":
        """The need with the CPUs of this very node."""
        num_cpus = node.num_cpus if self.num_cpus is None else self.num_cpus
        return replace(self, num_cpus=num_cpus)

    def __str__(self) -> str:
        parts = [f"{self.memory_bytes / _GIB:.1f} GiB of memory"]
        parts += [] if self.num_cpus is None else [_counted(self.num_cpus, "CPU")]
        parts += [_counted(self.num_gpus, "GPU")] if self.num_gpus else []
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The decision: jobs that begin, by the id of their node, and a sentence for each that waits."""

    begin: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)


def decide(
    nodes: Sequence[ClusterNode], held: Sequence[tuple[str, JobNeed]], waiting: Sequence[tuple[str, JobNeed]]
) -> Placement:
    """Decide who begins where. `held`: node and need of each running job; `waiting`: in the order of the queue."""
    usable = [node for node in nodes if node.refused is None]
    taken = list(held)
    kept: set[str] = set()
    begin: dict[str, str] = {}
    sentences: dict[str, str] = {}
    for job, need in waiting:
        able = [node for node in usable if node.id not in need.lacking and _fits(need, node, [])]
        free = [node for node in able if node.id not in kept and _fits(need, node, taken)]
        if free:
            # The fullest that still has room: large jobs find a whole node longer.
            node = min(free, key=lambda node: (_free_bytes(node, taken), node.id))
            begin[job] = node.id
            taken.append((node.id, need.on(node)))
        else:
            sentences[job] = _sentence(need, nodes, able, kept)
            kept |= {node.id for node in able}
    return Placement(begin=begin, waiting=sentences)


def _fits(need: JobNeed, node: ClusterNode, taken: Sequence[tuple[str, JobNeed]]) -> bool:
    there = [other for place, other in taken if place == node.id]
    asked = need.on(node)
    return (
        (asked.num_cpus or 0) + sum(other.num_cpus or 0 for other in there) <= node.num_cpus
        and asked.num_gpus + sum(other.num_gpus for other in there) <= node.num_gpus
        and asked.memory_bytes <= _free_bytes(node, taken)
    )


def _free_bytes(node: ClusterNode, taken: Sequence[tuple[str, JobNeed]]) -> int:
    return node.memory_bytes - sum(need.memory_bytes for place, need in taken if place == node.id)


def _sentence(need: JobNeed, nodes: Sequence[ClusterNode], able: Sequence[ClusterNode], kept: set[str]) -> str:
    if not able:
        refused = [node.refused for node in nodes if node.refused is not None]
        refused += [f"{node.name}: {need.lacking[node.id]}." for node in nodes if node.id in need.lacking]
        told = f" Not used: {' '.join(refused)}" if refused else ""
        return f"No node has {need}. Add a larger one to the cluster, or choose a smaller base model.{told}"
    names = ", ".join(node.name for node in able)
    if all(node.id in kept for node in able):
        return f"An earlier job waits for {names}; this one, which needs {need}, comes after it."
    return f"No node has {need} free now: jobs run on {names}."


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'s' if number != 1 else ''}"
