"""On which node a job begins, and what is said to those that wait."""

import pytest

from outcrop.cluster.placement import JobNeed, decide
from outcrop.machine.nodes import ClusterNode

GIB = 2**30


def node(name: str, *, cpus: float = 4, gib: int = 8, gpus: float = 0, refused: str | None = None) -> ClusterNode:
    return ClusterNode(
        id=name, name=name, num_cpus=cpus, num_gpus=gpus, memory_bytes=gib * GIB, is_here=name == "a", refused=refused
    )


def need(gib: float, *, cpus: float | None = 2, gpus: float = 0) -> JobNeed:
    return JobNeed(num_cpus=cpus, num_gpus=gpus, memory_bytes=round(gib * GIB))


def test_jobs_share_a_node_while_it_has_room_and_then_take_the_next() -> None:
    decision = decide([node("a"), node("b")], [], [(str(number), need(3)) for number in range(5)])
    assert decision.begin == {"0": "a", "1": "a", "2": "b", "3": "b"}
    assert decision.waiting == {"4": "No node has 3.0 GiB of memory and 2 CPUs free now: jobs run on a, b."}


def test_a_job_goes_where_the_least_room_is_that_is_enough() -> None:
    assert decide([node("a", gib=32), node("b", gib=4)], [], [("x", need(3)), ("y", need(6))]).begin == {
        "x": "b",
        "y": "a",
    }


def test_without_a_number_of_threads_a_job_has_its_node_s_processors_alone() -> None:
    whole = need(1, cpus=None)
    decision = decide([node("a", cpus=2), node("b", cpus=16)], [], [("x", whole), ("y", whole), ("z", whole)])
    assert decision.begin == {"x": "a", "y": "b"}
    assert decision.waiting == {"z": "No node has 1.0 GiB of memory free now: jobs run on a, b."}


def test_a_large_job_that_waits_keeps_its_node_from_small_ones() -> None:
    nodes, held = [node("a", gib=32), node("b", gib=4)], [("a", need(8))]
    decision = decide(nodes, held, [("large", need(30)), ("small", need(3)), ("next", need(3))])
    assert decision.begin == {"small": "b"}
    assert decision.waiting["large"] == "No node has 30.0 GiB of memory and 2 CPUs free now: jobs run on a."
    assert decision.waiting["next"].startswith("An earlier job waits for a") or "free now" in decision.waiting["next"]


def test_what_no_node_can_ever_hold_keeps_nobody_back() -> None:
    refused = node("c", gib=64, refused="c: it does not see the home.")
    decision = decide([node("a"), refused], [], [("huge", need(48, gpus=2)), ("small", need(1))])
    assert decision.begin == {"small": "a"}
    assert decision.waiting == {
        "huge": "No node has 48.0 GiB of memory, 2 CPUs and 2 GPUs. Add a larger one to the cluster, or choose a smaller "
        "base model. Not used: c: it does not see the home."
    }


@pytest.mark.parametrize("held", [need(1, cpus=4), need(7, cpus=1), need(1, gpus=1, cpus=1)])
def test_processors_memory_and_accelerators_are_counted_each(held: JobNeed) -> None:
    nodes = [node("a", gpus=1)]
    assert decide(nodes, [("a", held)], [("x", need(2, gpus=1))]).begin == {}
    assert decide(nodes, [], [("x", need(2, gpus=1))]).begin == {"x": "a"}
