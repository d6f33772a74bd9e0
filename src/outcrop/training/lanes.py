"""Threads of one process that compute a step side by side, each with records of its own.

A thread that takes a row from end to end waits for nobody. Threads that share each product of matrices wait for each
other at every one of the thousands of operations of a step, most of them small; where other programs want the cores
too, they wait most of the time (docs/performance.md).

Every lane sees the same weights through a network of its own and has a gradient of its own. Which records fall to a
lane depends on their lengths and the number of threads alone, and what the lanes found is added in their order. So
equal numbers of threads give equal bits, whichever lane is faster.
"""

import copy
import itertools
import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from outcrop.network.adapters import Routing
from outcrop.training.batches import Row, rows_of
from outcrop.training.examples import Example
from outcrop.training.ranks import deal
from outcrop.training.sharding import ShardedWeights
from outcrop.training.weights import TrainedWeights

MOST = 8
"Lanes, where only an adapter learns: every lane holds a gradient."
MOST_WHOLE = 2
"Where all weights learn."
SHARING = 0.6
"N threads on one row are N to this power times as fast as one: 1.5 for two, as measured on two networks."


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
        on_cpu = isinstance(weights, TrainedWeights) and weights.vector.device.type == "cpu"
        self.most = min(threads, most) if on_cpu else 1

    @property
    def first(self) -> Lane:
        """The network itself."""
        return self._lanes[0]

    def sum(self, examples: Sequence[Example], token_budget: int, work: Callable[[Lane, Row], float]) -> float:
        """What `work` gives for the rows of these examples, added up; no more tokens at a time than `most_tokens`."""
        lengths = [len(example) for example in examples]
        shares = split(lengths, self._threads, self.most)
        if len(shares) == 1:
            rows = rows_of(examples, token_budget)
            return sum(work(self.first, row) for row in rows)
        lanes = self._first(len(shares))
        rows_of_lanes = [rows_of([examples[i] for i in share], token_budget // len(shares)) for share in shares]
        for rows in rows_of_lanes[1::2]:
            rows.reverse()  # lest all lanes have their longest rows, which come first, at the same time
        room = _Room(most_tokens(lengths, token_budget, num_lanes=len(shares)))

        def drive(lane: Lane, rows: Sequence[Row]) -> float:
            torch.set_num_threads(self._threads // len(shares))
            total = 0.0
            for row in rows:
                with room.taken(_tokens(row)):
                    total += work(lane, row)
            return total

        try:
            with ThreadPoolExecutor(len(shares), thread_name_prefix="lane") as threads:
                return sum(threads.map(drive, lanes, rows_of_lanes))
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


def split(lengths: Sequence[int], threads: int, most: int) -> list[list[int]]:
    """Indices into `lengths` for each lane, with as many lanes as end soonest: the fullest one holds up the step, and
    threads that have no lane help within one."""

    def duration(shares: Sequence[Sequence[int]]) -> float:
        fullest = max(sum(lengths[index] for index in share) for share in shares)
        return float(fullest / (threads // len(shares)) ** SHARING)

    return min((deal(lengths, num) for num in range(1, max(1, min(most, len(lengths))) + 1)), key=duration)


def most_tokens(lengths: Sequence[int], token_budget: int, *, num_lanes: int) -> int:
    """Of records of these lengths, under way at the same time: the budget; or a record that is longer; or, where most
    are longer than a lane's part of the budget, one of the usual length in each lane, for none to stand idle."""
    return max(token_budget, max(lengths), num_lanes * int(statistics.median(lengths)))


class _Room:
    """Memory for so many tokens at a time."""

    def __init__(self, tokens: int) -> None:
        self._free = tokens
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, tokens: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= tokens)
            self._free -= tokens
        try:
            yield
        finally:
            with self._changed:
                self._free += tokens
                self._changed.notify_all()


def _tokens(row: Row) -> int:
    return row.ids_1T.shape[1]
