"""The pool: engines started, watched, and ended for others, as their records and the memory budget say.

One pool runs on a home, in the supervisor; it makes a round several times a second.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from outcrop import logs
from outcrop.clock import Clock
from outcrop.engines import programs
from outcrop.engines.budget import MemoryDecision
from outcrop.engines.estimate import estimated_bytes
from outcrop.engines.launchers import Launcher, Load, Standing
from outcrop.engines.orders import Engines, Order
from outcrop.engines.sharing import EngineUse, MemorySharing
from outcrop.engines.states import RUNNING, EngineKind, EngineState
from outcrop.loops import each
from outcrop.store.watch import ChangeWatch

_LOOK_EVERY = timedelta(seconds=5)
"So often engines are asked when they were used last, where nobody needs room."
_LOOK_SOON = timedelta(seconds=0.2)
"The same while somebody does."
_NEW_FOR = timedelta(seconds=30)
"So long an engine that answered nobody yet is kept for whoever waited for it."
_UNNEEDED_FOR = timedelta(seconds=10)
"So long a request may have been on its way to an engine since its deployment went over to another one."
_LAPSES_AFTER = timedelta(seconds=60)
"A wish that nobody repeats for so long has gone: the request that waited was told to come again."
_MEASURED_EVERY = timedelta(minutes=1)
"So often the numbers of an engine that does nothing are told."
_TOLD_SHARE = 0.02
"A change of memory below it is not worth a write."
_log = logging.getLogger("outcrop.engines")


class Answered(NamedTuple):
    """The number of requests that an engine had answered when its numbers were told last."""

    requests: int
    told_at: datetime | None


class Pool:
    """The engines of this machine, under one launcher and within one budget."""

    def __init__(
        self,
        engines: Engines,
        sharing: MemorySharing,
        launcher: Launcher,
        clock: Clock,
        *,
        watch: ChangeWatch,
        provisioned: Callable[[], Collection[str]],
        measured: Callable[[str, Mapping[str, float]], None],
        idle: timedelta = timedelta(0),
    ) -> None:
        """`watch` tells when to read the records again.

        `provisioned` names the engines that provisioned throughput needs; asked when somebody may have to go.

        `measured` takes the numbers of an engine, by the names of their metrics.

        `idle`: so long an engine stays without a request; 0: as long as nobody needs the room.
        """
        self._engines = engines
        self._sharing = sharing
        self._launcher = launcher
        self._clock = clock
        self._watch = watch
        self._provisioned = provisioned
        self._measured = measured
        self._idle = idle
        self._ending: set[str] = set()
        "Engines that end with the last of their requests, and whose records are gone, or another engine's."
        self._answered: dict[str, Answered] = {}
        self._orders: dict[str, Order] = {}
        self._any_reserving = False
        self._ready_since: dict[str, datetime] = {}
        self._looked = clock.now() - _LOOK_EVERY
        self._standings: dict[str, Standing] = {}

    def round(self) -> None:
        """Look at every engine once, and do what is due."""
        with self._watch.news() as something:
            if something:
                self._read()
        orders = self._orders
        self._end_others(orders)
        self._launcher.keep_alive()
        self._standings = self._launcher.standings()
        each(orders.values(), self._follow, log=_log, name=_name, broken=self._give_up)
        self._share(orders)

    def _read(self) -> None:
        self._orders = {order.name: order for order in self._engines.orders()}
        self._any_reserving = self._sharing.has_askers()

    def _end_others(self, orders: Mapping[str, Order]) -> None:
        """End the engines that are not needed any more, are of another kind now, or have their files elsewhere.

        Each ends with the last of its requests; one that does not hear ends at once.
        """
        for name, standing in self._launcher.standings().items():
            if name in self._ending or (name in orders and _is_of(orders[name], standing)):
                continue
            if standing.kind is not EngineKind.REMOTE and self._launcher.retire(name):
                self._ending.add(name)
            else:
                self._launcher.end(name)
        for name, standing in self._launcher.standings().items():
            if name in self._ending and standing.gone:
                self._launcher.end(name)
                self._ending.discard(name)

    def close(self) -> None:
        """End every engine."""
        for name in self._launcher.standings():
            self._launcher.end(name)

    def _follow(self, order: Order) -> None:
        """Bring an engine's record up to what its process is."""
        if order.name in self._ending:
            return  # the process is one of an earlier order
        standing = self._standings.get(order.name)
        if standing is None:
            self._follow_absent(order)
        elif standing.failure is not None:
            self._launcher.end(order.name)
            self._engines.give_up(order.name, f"The engine of {order.name} does not start: {standing.failure}")
        elif standing.gone:
            self._launcher.end(order.name)
            self._evict(order)
            logs.tell(_log, "engine evicted", engine=order.name, freed_bytes=order.held_bytes)
        elif order.state in (EngineState.STARTING, EngineState.READY):
            self._follow_running(order, standing)

    def _evict(self, order: Order) -> None:
        now = self._engines.find(order.name)  # somebody may have asked for it since it was to go
        if now is not None and not now.needed:
            self._engines.forget(order.name)
        else:
            measured = order.held_bytes or order.estimated_bytes
            self._engines.enter(order.name, EngineState.EVICTED, heldBytes=0, estimatedBytes=measured)

    def _follow_absent(self, order: Order) -> None:
        if order.state is EngineState.ORDERED and not order.estimated_bytes:
            assert order.folder is not None, "a remote engine is never waited for"
            num_bytes = programs.estimated_bytes(order.folder) if order.kind is EngineKind.PROGRAM else None
            self._engines.note(order.name, estimatedBytes=num_bytes or estimated_bytes(order.folder, order.kind))
        elif order.state is EngineState.LEAVING:  # ended, and the disk was full when that was to be noted
            self._evict(order)
        elif order.state in RUNNING:  # admitted, and then not started
            self._launcher.start(order)

    def _follow_running(self, order: Order, standing: Standing) -> None:
        state = EngineState.READY if standing.ready else EngineState.STARTING
        if state is not order.state:
            if state is EngineState.READY:
                self._ready_since[order.name] = self._clock.now()
            self._engines.enter(order.name, state, heldBytes=standing.held_bytes, waits=None)
        elif abs(standing.held_bytes - order.held_bytes) > _TOLD_SHARE * max(standing.held_bytes, order.held_bytes):
            self._engines.note(order.name, heldBytes=standing.held_bytes)

    def _give_up(self, order: Order) -> None:
        if order.name in self._launcher.standings():
            self._launcher.end(order.name)
        self._engines.give_up(order.name, f"The engine of {order.name} cannot be started; the log has the details.")

    def _share(self, orders: Mapping[str, Order]) -> None:
        """Start what is admitted, let go what has to, and note who waits for what."""
        since = self._clock.now() - self._looked
        asked = self._any_reserving or any(order.state is EngineState.ORDERED for order in orders.values())
        if since < (_LOOK_SOON if asked else _LOOK_EVERY):
            return
        uses, provisioned = self._look(orders.values()), self._provisioned()
        with self._sharing.reservations.alone():
            decision = self._sharing.decide(uses, provisioned)
            self._note(decision)
        for name in dict.fromkeys((*decision.leaving, *self._idle_ones(orders, uses, provisioned))):
            if self._launcher.retire(name):
                self._engines.enter(name, EngineState.LEAVING)
        for name in decision.admitted:
            order = self._engines.find(name)
            if order is not None and name not in self._ending:
                self._launcher.start(order)

    def _idle_ones(
        self, orders: Mapping[str, Order], uses: Mapping[str, EngineUse], provisioned: Collection[str]
    ) -> Iterator[str]:
        """The engines that nobody has asked for as long as one stays, or that no deployment needs any more."""
        for name, use in uses.items():
            if use.idle_since is None:
                continue
            idle = self._looked - use.idle_since
            if not orders[name].needed and idle >= _UNNEEDED_FOR:
                yield name
            elif self._idle and idle >= self._idle and name not in provisioned:
                logs.tell(_log, "engine is idle", engine=name, seconds=round(idle.total_seconds()))
                yield name

    def _look(self, orders: Iterable[Order]) -> dict[str, EngineUse]:
        """Ask every engine that answers how it is used, and note it."""
        self._looked = self._clock.now()
        uses = {}
        for order in orders:
            if order.state is EngineState.READY and (use := self._use(order)) is not None:
                uses[order.name] = use
            elif order.state is EngineState.ORDERED and self._looked - order.wanted_at > _LAPSES_AFTER:
                self._engines.enter(order.name, EngineState.EVICTED, waits=None)
        return uses

    def _use(self, order: Order) -> EngineUse | None:
        load = self._launcher.load(order)
        if load is None:
            return None
        last = self._looked - timedelta(seconds=load.idle_s)
        if load.answered and (order.last_used is None or last - order.last_used > _LOOK_EVERY):
            self._engines.note(order.name, lastUsed=last.isoformat())
        self._measure(order, load)
        is_new = not load.answered and self._looked - self._ready_since.get(order.name, self._looked) < _NEW_FOR
        return EngineUse(idle_since=None if load.running else last, is_new=is_new)

    def _measure(self, order: Order, load: Load) -> None:
        """Tell the numbers of an engine that works; of one that does not, seldom."""
        before = self._answered.get(order.name, Answered(0, None))
        # An engine that was started anew counts from nothing.
        answered = load.answered - before.requests if load.answered >= before.requests else load.answered
        due = before.told_at is None or self._looked - before.told_at >= _MEASURED_EVERY
        if answered or load.running or due:
            work = {"RunningRequests": load.running, "AnsweredRequests": answered}
            self._measured(order.name, {"ResidentBytes": order.held_bytes, **work})
            self._answered[order.name] = Answered(load.answered, self._looked)

    def _note(self, decision: MemoryDecision) -> None:
        """Record the decision in the transaction that made it, so that nobody else takes the same room."""
        orders = {order.name: order for order in self._engines.orders()}
        for name in decision.admitted:
            if name in orders:
                self._engines.enter(name, EngineState.STARTING, waits=None, heldBytes=0)
            else:
                self._sharing.reservations.grant(name)
        for name, sentence in decision.waiting.items():
            if name not in orders:
                self._sharing.reservations.note_waiting(name, sentence)
            elif orders[name].waits != sentence:
                self._engines.note(name, waits=sentence)
        for name, sentence in decision.refused.items():
            if name in orders:
                self._engines.give_up(name, sentence)


def _is_of(order: Order, standing: Standing) -> bool:
    """Whether an engine is what its order asks for."""
    return (order.kind, order.folder) == (standing.kind, standing.folder)


def _name(order: Order) -> str:
    return order.name
