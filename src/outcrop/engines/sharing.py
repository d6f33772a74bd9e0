"""The memory of a machine, shared: engines and trainings on record, put before the decision of `budget.py`.

Whoever is to start asks here. A worker admits itself where there is room. The pool of `outcrop up` admits engines, and
makes room by ending those that are idle.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple, Self

from outcrop.clock import Clock
from outcrop.engines import budget
from outcrop.engines.budget import MemoryDecision, MemoryHolder, MemoryRequest
from outcrop.engines.orders import Engines, Order
from outcrop.engines.reservations import Reservation, Reservations
from outcrop.engines.states import RUNNING, EngineState
from outcrop.errors import Invalid
from outcrop.machine import memory
from outcrop.machine.nodes import ClusterStatus
from outcrop.settings import Settings
from outcrop.store.store import Store

_ASK_EVERY_S = 0.2


class EngineUse(NamedTuple):
    """How an engine is used, as it told itself."""

    idle_since: datetime | None
    "None: it works on a request."
    is_new: bool
    "It has just started and answered nobody yet: whoever waited for it has yet to come."


class MemorySharing:
    """The budget with those who hold it."""

    def __init__(
        self,
        engines: Engines,
        reservations: Reservations,
        clock: Clock,
        budget_bytes: int,
        *,
        has_engines: bool = True,
        elsewhere: Callable[[], int] = lambda: 0,
    ) -> None:
        """`has_engines`: whether engines run on this machine. `elsewhere`: the memory of the largest other one."""
        self._engines = engines
        self._has_engines = has_engines
        self._elsewhere = elsewhere
        self.reservations = reservations
        self._clock = clock
        self.budget_bytes = budget_bytes

    @classmethod
    def open(cls, store: Store, clock: Clock, settings: Settings) -> Self:
        engines = Engines(store, clock, settings)
        return cls(
            engines,
            Reservations(store, clock, node=settings.node),
            clock,
            budget.budget_of(settings),
            has_engines=not settings.node,
            elsewhere=lambda: _of_the_cluster(settings),
        )

    def decide(self, uses: Mapping[str, EngineUse] | None = None, provisioned: Collection[str] = ()) -> MemoryDecision:
        """Decide what is to be done with the memory now.

        Engines of which no use is told stay, and so do those of provisioned throughput.
        """
        orders = [order for order in self._engines.orders() if order.is_here] if self._has_engines else []
        reservations = self.reservations.all()
        running = [order for order in orders if order.state in RUNNING]
        holders = [_engine(order, (uses or {}).get(order.name), provisioned) for order in running]
        holders += [_training(one) for one in reservations if one.granted_bytes]
        askers = [_ordered(order) for order in orders if order.state is EngineState.ORDERED and order.estimated_bytes]
        askers += [_reserving(one) for one in reservations if one.missing_bytes > 0]
        return budget.decide(self.budget_bytes, holders, askers, now=self._clock.now())

    def has_askers(self) -> bool:
        """Whether any training waits for memory."""
        return any(one.missing_bytes > 0 for one in self.reservations.all())

    def most(self) -> int:
        """Bytes that a training could be given at best now, on the largest node, as if all engines ended."""
        held = sum(held_by(order) for order in self._engines.orders() if order.is_here and order.state in RUNNING)
        return max(self._elsewhere(), min(self.budget_bytes, memory.available() + held))

    @contextmanager
    def held(
        self, owner: str, title: str, num_bytes: int, *, until: Callable[[], bool], waits: Callable[[str], None]
    ) -> Iterator[None]:
        """Hold memory inside the block. Entering waits for room, or `until`; `waits` is told each new reason why."""
        self.reservations.ask(owner, title, num_bytes)
        try:
            self._wait(owner, until, waits, refuse=False)  # what never fits is refused once its plan is known
            yield
        finally:
            self.reservations.give_back(owner)

    def grow(self, owner: str, num_bytes: int, *, until: Callable[[], bool], waits: Callable[[str], None]) -> None:
        """Wait for more, where the owner has a reservation. Raises Invalid for what is beyond the whole budget."""
        self.reservations.want(owner, num_bytes)
        self._wait(owner, until, waits, refuse=True)

    def _wait(self, owner: str, until: Callable[[], bool], waits: Callable[[str], None], *, refuse: bool) -> None:
        told = None
        while True:
            with self.reservations.alone():
                decision = self.decide()
                if owner in decision.admitted:
                    self.reservations.grant(owner)
            if owner in decision.refused:
                if refuse:
                    raise Invalid(decision.refused[owner])
                return
            reserved = self.reservations.of(owner)
            if reserved is None or not reserved.missing_bytes or until():
                return
            sentence = reserved.waits or decision.waiting[owner]
            if sentence != told:
                told = sentence
                waits(sentence)
            time.sleep(_ASK_EVERY_S)


def _of_the_cluster(settings: Settings) -> int:
    """The memory of the largest node that gets trainings; 0 where there is no cluster."""
    status = ClusterStatus.read(settings.home)
    return 0 if status is None else status.most_memory_bytes


def held_by(order: Order) -> int:
    """Bytes that an engine holds: what is measured corrects the estimate, once its network is in memory."""
    if order.state is EngineState.STARTING:
        return max(order.estimated_bytes, order.held_bytes)
    return order.held_bytes or order.estimated_bytes


def _engine(order: Order, use: EngineUse | None, provisioned: Collection[str]) -> MemoryHolder:
    stays = _stays(order, use, provisioned)
    return MemoryHolder(
        name=order.name,
        title=order.title,
        num_bytes=held_by(order),
        stays=stays,
        idle_since=use.idle_since if use is not None else None,
        leaving=order.state is EngineState.LEAVING,
    )


def _stays(order: Order, use: EngineUse | None, provisioned: Collection[str]) -> str | None:
    if order.name in provisioned:
        return "provisioned throughput"
    if order.state is EngineState.STARTING:
        return "starting"
    if use is None:
        return "running"
    return "just started" if use.is_new else None


def _training(one: Reservation) -> MemoryHolder:
    return MemoryHolder(name=one.owner, title=one.title, num_bytes=one.held_bytes, stays="running")


def _ordered(order: Order) -> MemoryRequest:
    return MemoryRequest(name=order.name, title=order.title, num_bytes=order.estimated_bytes, since=order.wanted_since)


def _reserving(one: Reservation) -> MemoryRequest:
    return MemoryRequest(name=one.owner, title=one.title, num_bytes=one.missing_bytes, since=one.asked)
