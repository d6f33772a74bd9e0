"""The launcher over a cluster that is none: workers are started for what waits, and leases of the lost run out at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.cluster import node_check, serve
from outcrop.cluster.launcher import ClusterLauncher
from outcrop.cluster.node_check import NodeDemand
from outcrop.cluster.node_worker import TaskReport, TaskState, WorkerStart
from outcrop.cluster.placement import JobNeed
from outcrop.customization.kind import KIND
from outcrop.jobs.leases import Leases
from outcrop.machine.nodes import ClusterNode, ClusterStatus
from outcrop.settings import Settings
from tests.support.homes import with_tiny_models
from tests.support.job_house import JobHouse


class Machines:
    """Nodes of nobody, with the tasks that were started on them."""

    address = "here"

    def __init__(self, *nodes: ClusterNode) -> None:
        self.there = list(nodes)
        self.refused: dict[str, str] = {}
        self.states: dict[str, TaskState] = {}
        "By the name of the worker."
        self.started: list[tuple[str, str]] = []
        "Node and job, in order."

    def nodes(self) -> list[ClusterNode]:
        return self.there

    def check(self, nodes: Sequence[ClusterNode], _demand: NodeDemand) -> list[ClusterNode]:
        return [replace(node, refused=self.refused.get(node.id)) for node in nodes]

    def start(self, node: str, _need: JobNeed, start: WorkerStart) -> Any:
        named = dict(zip(start.arguments[::2], start.arguments[1::2], strict=True))
        self.started.append((node, named["--job"]))
        self.states[named["--name"]] = TaskState.RUNNING
        return named["--name"]

    def report(self, task: Any) -> TaskReport:
        return TaskReport(self.states[task], "it does not see the base model's weights at /models/x")

    def end(self, tasks: Sequence[Any]) -> None:
        for task in tasks:
            self.states[task] = TaskState.ENDED


def node(name: str) -> ClusterNode:
    return ClusterNode(id=name, name=name, num_cpus=1, num_gpus=0, memory_bytes=4 * 2**30, is_here=name == "a")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JobHouse]:
    made = JobHouse(with_tiny_models(tmp_path))
    yield made
    made.context.close()


def test_a_worker_elsewhere_finds_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_THREADS", "2")
    url = "postgresql+psycopg://outcrop:secret@records/outcrop"
    found = serve.variables(Settings(home=tmp_path, database_url=url, root_key_command="print-key"))
    assert found["OUTCROP_DATABASE_URL"] == url
    assert found["OUTCROP_ROOT_KEY_COMMAND"] == "print-key"
    assert found["OUTCROP_THREADS"] == "2"
    assert "OUTCROP_DATABASE_URL" not in serve.variables(Settings(home=tmp_path))


def launcher_of(house: JobHouse, machines: Machines) -> ClusterLauncher:
    demand = node_check.demand(house.settings.home, is_sqlite=True)
    return ClusterLauncher(house.context, machines, [KIND], demand, now=lambda: 100.0)


def test_each_waiting_job_gets_a_worker_and_the_rest_are_told_why_not(house: JobHouse) -> None:
    machines = Machines(node("a"), node("b"), node("c"))
    machines.refused = {"c": "c: it does not see the home."}
    jobs = [house.create(name) for name in ("first", "second", "third")]
    launcher = launcher_of(house, machines)
    launcher.round()
    launcher.round()  # starts nothing twice
    assert machines.started == [("a", jobs[0]), ("b", jobs[1])]
    status = ClusterStatus.read(house.settings.home)
    assert status is not None
    assert [(job.name, job.node) for job in status.jobs] == [("first", "a"), ("second", "b"), ("third", None)]
    waits = status.jobs[2].waits
    assert waits is not None
    assert waits.endswith("1 CPU free now: jobs run on a, b.")
    assert [each.refused for each in status.nodes] == [None, None, "c: it does not see the home."]
    assert house.context.sharing.most() >= 4 * 2**30


def test_the_lease_of_a_worker_that_is_gone_runs_out_at_once(house: JobHouse) -> None:
    machines = Machines(node("a"), node("b"))
    job = house.create("lost")
    launcher, leases = launcher_of(house, machines), Leases(house.context.store, [KIND])
    launcher.round()
    (worker,) = machines.states
    lease = leases.take(worker, now=house.context.clock.now(), only=job)
    assert lease is not None
    launcher.round()
    assert machines.started == [("a", job)]
    machines.states[worker] = TaskState.GONE
    launcher.round()
    launcher.round()
    assert len(machines.started) == 2
    successor = leases.take(list(machines.states)[1], now=house.context.clock.now(), only=job)
    assert successor is not None
    assert (successor.number, leases.is_held(lease)) == (2, False)
    # Whoever was taken for dead renews nothing any more.
    assert not leases.renew(lease, now=house.context.clock.now(), progress="")
    assert leases.renew(successor, now=house.context.clock.now(), progress="")


def test_workers_that_end_again_and_again_are_started_more_and_more_seldom(house: JobHouse) -> None:
    machines = Machines(node("a"))
    house.create("broken")
    launcher = launcher_of(house, machines)
    for _ in range(6):
        launcher.round()
        machines.states = dict.fromkeys(machines.states, TaskState.ENDED)
    assert len(machines.started) == 2
    status = ClusterStatus.read(house.settings.home)
    assert status is not None
    assert "Workers for it have ended 2 times in a row, and the next one starts in a moment." in str(
        status.jobs[0].waits
    )


def test_who_ends_ends_the_workers_too(house: JobHouse) -> None:
    machines = Machines(node("a"))
    house.create("ended")
    launcher = launcher_of(house, machines)
    launcher.round()
    launcher.close()
    assert set(machines.states.values()) == {TaskState.ENDED}


def test_a_node_without_the_weights_of_a_job_gets_others_and_not_this_one(house: JobHouse) -> None:
    machines = Machines(node("a"))
    job = house.create("elsewhere")
    launcher = launcher_of(house, machines)
    launcher.round()
    machines.states = dict.fromkeys(machines.states, TaskState.UNFIT)
    launcher.round()
    status = ClusterStatus.read(house.settings.home)
    assert status is not None
    waits = str(status.jobs[0].waits)
    assert waits.endswith("Not used: a: it does not see the base model's weights at /models/x.")
    assert machines.started == [("a", job)]
    other = house.create("another")
    launcher.round()
    assert machines.started == [("a", job), ("a", other)]


def test_a_worker_on_a_node_that_ray_gave_up_has_a_successor_though_it_may_live(house: JobHouse) -> None:
    machines = Machines(node("a"), node("b"))
    job = house.create("cut-off")
    moments = [100.0]
    demand = node_check.demand(house.settings.home, is_sqlite=True)
    launcher = ClusterLauncher(house.context, machines, [KIND], demand, now=lambda: moments[-1])
    launcher.round()
    machines.there = [node("b")]
    moments.append(200.0)
    launcher.round()
    assert machines.started == [("a", job), ("b", job)]
