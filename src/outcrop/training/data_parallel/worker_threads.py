"""Threads of one process that compute a step side by side, each with records of its own.

A thread that takes a row from end to end waits for nobody. Threads that share each product of matrices wait for each
other at every one of the thousands of operations of a step, most of them small; where other programs want the cores
too, they wait most of the time (docs/performance.md).

Every lane sees the same weights through a network of its own and has a gradient of its own. Which records fall to a
lane, and in which rows, depends on their lengths and the number of threads alone (turns.py), and what the lanes found
is added in their order. So equal numbers of threads give equal bits, whichever lane is faster.
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
from outcrop.network.adapters import Routing
from outcrop.training.batches import Row, row_of
from outcrop.training.data_parallel.row_schedule import Turn, plan
from outcrop.training.data_parallel.sharding import ShardedWeights
from outcrop.training.examples import Example
from outcrop.training.weights import TrainedWeights

MOST = 8
"Lanes, where only an adapter learns: every lane holds a gradient."
MOST_WHOLE = 2
"Where all weights learn."


class Lane(NamedTuple):
    """What one thread computes with."""

    number: int
    network: nn.Module
    routing: Routing


class Lanes:
    """Of one process. The first is the network itself; the others are made when a step first has work for them.

    A network on an accelerator, or split between ranks, has one lane.
    """

    def __init__(
        self,
        network: nn.Module,
        routing: Routing,
        weights: TrainedWeights | ShardedWeights,
        *,
        threads: int = 1,
        most: int = MOST,
    ) -> None:
        self._lanes = [Lane(0, network, routing)]
        self._weights = weights
        self._threads = threads
        self._way = load.way_of(network)
        on_cpu = isinstance(weights, TrainedWeights) and weights.vector.device.type == "cpu"
        self.most = min(threads, most) if on_cpu else 1

    @property
    def first(self) -> Lane:
        """The network itself."""
        return self._lanes[0]

    def sum(self, examples: Sequence[Example], token_budget: int, work: Callable[[Lane, Row], float]) -> float:
        """What `work` gives for the rows of these examples, added up; see `turns.plan` for which rows, and when."""
        lengths = [len(example) for example in examples]
        turn = plan(lengths, token_budget, threads=self._threads, most_lanes=self.most, way=self._way)
        room = _Room(turn)

        def drive(lane: Lane) -> float:
            torch.set_num_threads(self._threads // turn.lanes)
            total = 0.0
            for number, row in enumerate(turn.rows):
                if row.lane == lane.number:
                    with room.of(number) as given:
                        if not given:
                            break
                        total += work(lane, row_of([examples[index] for index in row.records]))
            return total

        lanes = self._first(turn.lanes)
        if turn.lanes == 1:
            return drive(self.first)
        try:
            with ThreadPoolExecutor(turn.lanes, thread_name_prefix="lane") as threads:
                return sum(threads.map(drive, lanes))
        finally:
            torch.set_num_threads(self._threads)  # new threads begin with the number set last, in whichever thread

    def _first(self, num: int) -> Sequence[Lane]:
        while len(self._lanes) < num:
            self._lanes.append(self._another())
        return self._lanes[:num]

    def _another(self) -> Lane:
        assert isinstance(self._weights, TrainedWeights), "a split network has one lane"
        _, network, routing = self.first
        # What is remembered as copied is not copied: the frozen weights are shared, and so are the values of those that
        # learn, by twins that have a gradient of their own.
        kept = {id(tensor): tensor for tensor in itertools.chain(network.parameters(), network.buffers())}
        own_network, own_routing = copy.deepcopy((network, routing), kept | self._weights.twins())
        return Lane(len(self._lanes), own_network, own_routing)


class _Room:
    """Memory for the tokens of a turn's rows, given in the order of its plan: a lane that is early waits, rather than
    take the room that another was promised."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._free = turn.room
        self._next = 0
        self._lost = False
        self._changed = threading.Condition()

    @contextmanager
    def of(self, number: int) -> Iterator[bool]:
        """Room for that row, when it is its turn; False if the turn was lost to an error in another lane."""
        tokens = self._turn.tokens(self._turn.rows[number])
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
