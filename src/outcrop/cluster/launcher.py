"""The launcher of a cluster: a worker for each waiting training, on a node that has room for it.

The lease in the database is the truth. The launcher starts a worker for a job that nobody works on, which takes the
lease, or ends. The lease of a worker whose node is gone runs out at once, and the next round starts another worker;
were the first alive after all, its fence would keep it from writing.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from outcrop import logs
from outcrop.cluster.node_check import NodeDemand
from outcrop.cluster.node_worker import TaskReport, TaskState, WorkerStart, arguments_of
from outcrop.cluster.placement import JobNeed, decide
from outcrop.customization import base
from outcrop.customization.memory import least_for
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.jobs.kinds import JobKind
from outcrop.jobs.leases import Leases
from outcrop.machine.nodes import ClusterJob, ClusterNode, ClusterStatus
from outcrop.store.damage import Damaged

_NOBODY = ""
"Asks for what is free without being a worker."
_LOOK_S = 1.0
"So often the cluster is asked for its nodes."
_CHECK_AGAIN_S = 60.0
"So long after it was refused a node is asked once more: what it lacked may be there by now."
_LONGEST_PAUSE_S = 5.0
"Between two workers for a job that end without having ended it."
_log = logging.getLogger("outcrop.cluster")


class Cluster(Protocol):
    """A cluster as the launcher uses it."""

    address: str

    def nodes(self) -> list[ClusterNode]: ...
    def check(self, nodes: Sequence[ClusterNode], demand: NodeDemand, /) -> list[ClusterNode]: ...
    def start(self, node: str, need: JobNeed, start: WorkerStart, /) -> Any: ...
    def report(self, task: Any, /) -> TaskReport: ...
    def end(self, tasks: Sequence[Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _ClusterWorker:
    """A worker that was started for a job."""

    job: str
    title: str
    "The name of the job."
    name: str
    node: str
    need: JobNeed
    task: Any


class _KnownJob(NamedTuple):
    """The facts of a job's record that decide where it may run."""

    name: str
    memory_bytes: int
    folder: Path | None
    "The weights that it starts from."


class ClusterLauncher:
    """The workers of one installation on one cluster. `round` looks once at everything, and does what is due."""

    def __init__(
        self,
        house: House,
        cluster: Cluster,
        kinds: Sequence[JobKind[Any]],
        demand: NodeDemand,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`kinds`: those of the heavy class. `demand`: what a node is held against."""
        self._house = house
        self._cluster = cluster
        self._leases = Leases(house.store, kinds)
        self._demand = demand
        self._now = now
        self._nodes: dict[str, ClusterNode] = {}
        "All that were ever seen, as they were last."
        self._alive: list[ClusterNode] = []
        self._checked_at: dict[str, float] = {}
        self._look_at = 0.0
        self._workers: list[_ClusterWorker] = []
        self._needs: dict[str, _KnownJob] = {}
        "Of waiting jobs; known from the headers of files, which are not read at each round."
        self._lacking: dict[str, dict[str, str]] = {}
        "By job and node: what the node has not."
        self._ends: dict[str, int] = {}
        "How many workers for a job ended in a row, with the job still to be done."
        self._not_before: dict[str, float] = {}
        self._status: ClusterStatus | None = None

    def round(self) -> None:
        if self._now() >= self._look_at:
            self._look_at = self._now() + _LOOK_S
            self._look()
        self._see_ended()
        holding = [worker.job for worker in self._workers]
        waiting = self._leases.waiting(_NOBODY, now=self._house.clock.now(), holding=holding)
        self._forget_all_but({*waiting, *holding})
        ready = [job for job in waiting if self._now() >= self._not_before.get(job, 0.0)]
        has_gpus = any(node.num_gpus for node in self._alive if node.refused is None)
        needs = {job: self._need(job, has_gpus=has_gpus) for job in ready}
        decision = decide(self._alive, [(w.node, w.need) for w in self._workers], list(needs.items()))
        for job, place in decision.begin.items():
            self._start(job, self._nodes[place], needs[job].on(self._nodes[place]))
        paused = {
            job: f"Workers for it have ended {self._ends[job]} times in a row, and the next one starts in a moment. "
            f"Their logs are {self._house.settings.logs / 'worker*.log'}."
            for job in waiting
            if job not in ready
        }
        self._tell({**paused, **decision.waiting})

    def close(self) -> None:
        """End every worker; their jobs go on when the installation is started again."""
        self._cluster.end([worker.task for worker in self._workers])

    def _look(self) -> None:
        """See which nodes are there; ask the new ones, and those that were refused a while ago."""
        found, now = self._cluster.nodes(), self._now()
        asked = [node for node in found if self._is_to_be_asked(node.id, now)]
        for node in self._cluster.check(asked, self._demand) if asked else ():
            before = self._nodes.get(node.id)
            self._nodes[node.id], self._checked_at[node.id] = node, now
            if before is None or before.refused != node.refused:
                level = logging.INFO if node.refused is None else logging.WARNING
                logs.tell(_log, "node", level=level, node=node.name, refused=node.refused)
        for node in found:
            self._nodes[node.id] = replace(node, refused=self._nodes[node.id].refused)
        self._alive = [self._nodes[node.id] for node in found]

    def _is_to_be_asked(self, node: str, now: float) -> bool:
        known = self._nodes.get(node)
        return known is None or (known.refused is not None and now - self._checked_at[node] > _CHECK_AGAIN_S)

    def _see_ended(self) -> None:
        alive = {node.id for node in self._alive}
        for worker in list(self._workers):
            state, lacks = self._cluster.report(worker.task)
            if state is TaskState.RUNNING and worker.node not in alive:
                # Ray gave its node up. The worker may live on where nobody reaches it: then its fence ends it.
                state = TaskState.GONE
            if state is TaskState.RUNNING:
                continue
            if state is TaskState.UNFIT:
                self._lacking.setdefault(worker.job, {})[worker.node] = lacks
            self._workers.remove(worker)
            # Nobody else has its name: without this, a job that is not done would wait for the lease to run out.
            freed = self._leases.give_up(worker.name, now=self._house.clock.now())
            ends = self._ends[worker.job] = self._ends.get(worker.job, 0) + 1
            pause_s = 0.0 if ends == 1 else min(_LONGEST_PAUSE_S, 0.1 * 2.0**ends)
            self._not_before[worker.job] = self._now() + pause_s
            if freed or state is TaskState.GONE:
                told = {"job": worker.job, "node": self._nodes[worker.node].name, "how": state.value}
                logs.tell(_log, "worker ended before its job", level=logging.WARNING, **told)

    def _forget_all_but(self, jobs: Collection[str]) -> None:
        kept: tuple[dict[str, Any], ...] = (self._needs, self._lacking, self._ends, self._not_before)
        for about in kept:
            for job in about.keys() - jobs:
                del about[job]

    def _need(self, job: str, *, has_gpus: bool) -> JobNeed:
        settings = self._house.settings
        if job not in self._needs:
            self._needs[job] = self._known_of(job)
        return JobNeed(
            # Equal threads give equal bits; with no number given, a training has its machine's cores to itself.
            num_cpus=settings.threads or None,
            num_gpus=settings.devices if has_gpus else 0,
            memory_bytes=self._needs[job].memory_bytes,
            lacking=self._lacking.get(job, {}),
        )

    def _known_of(self, job: str) -> _KnownJob:
        house = self._house
        try:
            record = house.jobs.get(job)
            folder = base.of_job(house.catalog, house.models, record).base.folder
            return _KnownJob(record.name or job, least_for(house.catalog, house.models, record), folder)
        except (Refusal, Damaged):
            return _KnownJob(job, 0, None)  # the worker says so, and ends it

    def _start(self, job: str, node: ClusterNode, need: JobNeed) -> None:
        settings = self._house.settings
        # A name of its own: no worker takes up the lease of another as if it were its own, wherever either is.
        name = f"cluster-{secrets.token_hex(6)}"
        arguments = arguments_of(home=settings.home, host=settings.host, port=settings.port, name=name, job=job)
        start = WorkerStart(
            home=str(settings.home),
            runs=str(settings.runs),
            arguments=tuple(arguments),
            # A file of each node's own: a shared folder may mix up what two machines append to one.
            log=str(settings.logs / ("worker.log" if node.is_here else f"worker-{node.id[:8]}.log")),
            node="" if node.is_here else node.id,
            folder=None if (folder := self._needs[job].folder) is None else str(folder),
        )
        logs.tell(_log, "worker started", job=job, node=node.name, worker=name)
        task = self._cluster.start(node.id, need, start)
        title = self._needs[job].name
        self._workers.append(_ClusterWorker(job=job, title=title, name=name, node=node.id, need=need, task=task))

    def _tell(self, waiting: Mapping[str, str]) -> None:
        """Write what `outcrop doctor` and others show; only when it changes."""
        running = [
            ClusterJob(arn=worker.job, name=worker.title, node=self._nodes[worker.node].name, waits=None)
            for worker in self._workers
        ]
        waits = [
            ClusterJob(arn=job, name=self._needs[job].name, node=None, waits=sentence)
            for job, sentence in waiting.items()
        ]
        address, nodes = self._cluster.address, tuple(self._alive)
        status = ClusterStatus(address=address, nodes=nodes, jobs=(*running, *waits))
        if status != self._status:
            status.write(self._house.settings.home)
            self._status = status
