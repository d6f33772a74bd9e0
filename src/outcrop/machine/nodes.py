"""The nodes of a cluster on file, `cluster.json` in the home, with what runs there and who waits for what.

The launcher of the cluster writes it (`cluster/launcher.py`), and whoever wants to show it reads it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

FILE = "cluster.json"


@dataclass(frozen=True, kw_only=True)
class ClusterNode:
    """A machine of the cluster, or what was made one for a test."""

    id: str
    name: str
    "Its address; with the beginning of its id where several nodes have the same."
    num_cpus: float
    num_gpus: float
    memory_bytes: int
    "That Ray may give away."
    is_here: bool = False
    "Whether the server and the engines are on it."
    refused: str | None = None
    "Why no job is sent to it."


@dataclass(frozen=True, kw_only=True)
class ClusterJob:
    """A job of the cluster that has not ended."""

    arn: str
    name: str
    node: str | None
    "Name of the node; None for a job that waits."
    waits: str | None
    "For what."


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """The cluster as it was when this was written."""

    address: str
    nodes: tuple[ClusterNode, ...]
    jobs: tuple[ClusterJob, ...]

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """None where no cluster is used."""
        try:
            told = json.loads((home / FILE).read_text("utf-8"))
        except FileNotFoundError:
            return None
        nodes, jobs = (ClusterNode(**node) for node in told["nodes"]), (ClusterJob(**job) for job in told["jobs"])
        return cls(address=told["address"], nodes=tuple(nodes), jobs=tuple(jobs))

    def write(self, home: Path) -> None:
        """Replace the file; nobody reads half of it."""
        temporary = home / f"{FILE}.new"
        temporary.write_text(json.dumps(asdict(self)), "utf-8")
        temporary.replace(home / FILE)

    @property
    def most_memory_bytes(self) -> int:
        """The memory of the largest node that gets jobs."""
        return max((node.memory_bytes for node in self.nodes if node.refused is None), default=0)
