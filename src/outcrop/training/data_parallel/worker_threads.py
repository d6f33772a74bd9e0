"""Data parallelism inside one process: threads that compute a step side by side, each with records of its own.

A thread that takes a row from end to end waits for nobody. Threads that share each product of matrices wait for each
other at every one of the thousands of operations of a step, most of them small; where other programs want the cores
too, they wait most of the time (docs/log.md).

Every thread has a replica of the network: the same weights, and a gradient of its own. Which records fall to a replica,
and in which rows, depends on their lengths and the number of threads alone (row_schedule.py), and what the replicas
found is added in their order. So equal numbers of threads give equal bits, whichever replica is faster.
"""

import copy
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from outcrop.network import load
from outcrop.network.adapters.linear import Routing
from outcrop.training.batches import PackedRow, row_of
from outcrop.training.data_parallel.row_schedule import RowSchedule, plan
from outcrop.training.data_parallel.sharding import ShardedWeights
from outcrop.training.examples import Example
from outcrop.training.weights import TrainedWeights, WeightsOfTrials

MOST = 8
"Replicas in one process where only an adapter learns: every replica holds a gradient."
MOST_WHOLE = 2
"Replicas in one process where all weights learn."


class Replica(NamedTuple):
    """A copy of the network that one thread computes with; it shares the weights, and has its own gradient."""

    number: int
    network: nn.Module
    routing: Routing


class Replicas:
    """The replicas of the network in one process; all but the first are made when a step first needs them.

    A network on an accelerator, or split between ranks, has one replica.
    """

    def __init__(
        self,
        network: nn.Module,
        routing: Routing,
        weights: TrainedWeights | ShardedWeights | WeightsOfTrials,
        *,
        threads: int = 1,
        most: int = MOST,
    ) -> None:
        self._replicas = [Replica(0, network, routing)]
        self._weights = weights
        self._threads = threads
        self._way = load.way_of(network)
        on_cpu = not isinstance(weights, ShardedWeights) and weights.device.type == "cpu"
        self.most = min(threads, most) if on_cpu else 1

    @property
    def first(self) -> Replica:
        """The network itself."""
        return self._replicas[0]

    def renew(self) -> None:
        """The network has other adapters now: the replicas besides it are made anew when they are needed."""
        assert not isinstance(self._weights, ShardedWeights), "a split network has one replica"
        del self._replicas[1:]
        self._weights.forget_twins()

    def sum(self, examples: Sequence[Example], token_budget: int, work: Callable[[Replica, PackedRow], float]) -> float:
        """The sum of what `work` gives for the rows of these examples.

        See `row_schedule.plan` for which rows, and when.
        """
        lengths = [len(example) for example in examples]
        schedule = plan(lengths, token_budget, threads=self._threads, most_replicas=self.most, way=self._way)
        room = _TokenRoom(schedule)

        def drive(replica: Replica) -> float:
            torch.set_num_threads(self._threads // schedule.replicas)
            total = 0.0
            for number, row in enumerate(schedule.rows):
                if row.replica == replica.number:
                    with room.of(number) as given:
                        if not given:
                            break
                        total += work(replica, row_of([examples[index] for index in row.records]))
            return total

        replicas = self._first(schedule.replicas)
        if schedule.replicas == 1:
            return drive(self.first)
        try:
            with ThreadPoolExecutor(schedule.replicas, thread_name_prefix="replica") as threads:
                return sum(threads.map(drive, replicas))
        finally:
            torch.set_num_threads(self._threads)  # new threads begin with the number set last, in whichever thread

    def _first(self, num: int) -> Sequence[Replica]:
        while len(self._replicas) < num:
            self._replicas.append(self._another())
        return self._replicas[:num]

    def _another(self) -> Replica:
        assert not isinstance(self._weights, ShardedWeights), "a split network has one replica"
        _, network, routing = self.first
        # What is remembered as copied is not copied: the frozen weights are shared, and so are the values of those that
        # learn, by twins that have a gradient of their own.
        kept = {id(tensor): tensor for tensor in itertools.chain(network.parameters(), network.buffers())}
        own_network, own_routing = copy.deepcopy((network, routing), kept | self._weights.twins())
        return Replica(len(self._replicas), own_network, own_routing)


class _TokenRoom:
    """Memory for the tokens of rows under way, given in the order of the schedule.

    A replica that is early waits, rather than take the room that another was promised.
    """

    def __init__(self, schedule: RowSchedule) -> None:
        self._schedule = schedule
        self._free = schedule.room
        self._next = 0
        self._lost = False
        self._changed = threading.Condition()

    @contextmanager
    def of(self, number: int) -> Iterator[bool]:
        """Room for a row when its turn comes; False if the turn was lost to another replica's error."""
        tokens = self._schedule.tokens(self._schedule.rows[number])
        with self._changed:
            self._changed.wait_for(lambda: self._lost or (self._next == number and self._free >= tokens))
            if self._lost:
                yield False
                return
            self._next += 1
            self._free -= tokens
            self._changed.notify_all()
        done = False
        try:
            yield True
            done = True
        finally:
            with self._changed:
                self._free += tokens
                self._lost |= not done
                self._changed.notify_all()
