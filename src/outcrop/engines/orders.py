"""Engines on record: which should run, in which state each is, what it holds, and who waits for what.

The server orders one per network: a base model's, or a custom model's own. The pool (`pool.py`) starts and ends them.
They meet in the database; whether an engine answers is asked at its own address.
"""

import hashlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel, entry_of
from outcrop.clock import Clock
from outcrop.engines import programs
from outcrop.engines.environments import EngineEnvironments
from outcrop.engines.states import LIFECYCLE, RUNNING, EngineKind, EngineState
from outcrop.errors import Conflict, NotFound
from outcrop.loops import each
from outcrop.network.model_task import ModelTask
from outcrop.network.weight_precision import WeightPrecision
from outcrop.settings import Settings
from outcrop.store.changing import Change, change
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "engine"
_EVERYWHERE = "local"
_WISH_KEPT = timedelta(seconds=10)
"So old the record of a wish may be: those who wait ask twice a second."
_log = logging.getLogger("outcrop.engines")


@dataclass(frozen=True, kw_only=True)
class Order:
    """An engine on record."""

    name: str
    "Id of the catalogue entry whose weights it holds; with `@` and a custom model's id, that model's own network."
    kind: EngineKind
    state: EngineState
    folder: Path | None
    "Of the network; None for a remote engine, whose network is elsewhere."
    socket: Path | None
    "Its address: a Unix socket; None for a remote engine."
    host: str | None
    "The host of a remote engine; None for one on this machine."
    owner: str | None
    "Id of the custom model whose own network it holds; None for a base model's."
    failure: str | None
    "Why it was given up, when it was."
    since: datetime
    "When its record last changed."
    wanted_since: datetime
    "Since when somebody has waited for it, or did."
    wanted_at: datetime
    "When somebody last asked for it, within seconds."
    way: str | None
    "In which the network is run; None: it was not tried yet."
    context: int | None
    "Its context length, where its configuration names none."
    estimated_bytes: int
    "What it will hold: from the headers of its files, or as much as it held when it ran last."
    held_bytes: int
    "What its process holds, as measured; 0 while none was."
    last_used: datetime | None
    "When it last answered a request, within seconds."
    waits: str | None
    "What it waits for."
    needed: bool
    "Whether a deployment needs it. One that none needs ends once the last of those who came before are answered."
    task: ModelTask = ModelTask.TEXT
    "What its network answers with."
    weights: WeightPrecision = WeightPrecision.FP32
    "The numbers in which it keeps them."

    @property
    def title(self) -> str:
        """The engine, as a sentence names it."""
        return f"the engine of {self.name}"

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, which holds its memory."""
        return self.kind is not EngineKind.REMOTE


class Engines:
    """The engines of an installation, on record."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._resources = store.resources
        self._clock = clock
        self._sockets = settings.sockets
        self._environments = EngineEnvironments(store, clock)

    def order(self, base: BaseModel) -> Order:
        """Ask for an engine that holds `base`; asking again changes nothing while it is there, or on its way."""
        try:
            present = self._resources.find(KIND, _EVERYWHERE, base.engine)
            if present is None:
                return self._place(base)
            ordered = order_of(present)
        except Damaged as damaged:  # an order says nothing that cannot be said anew
            self._resources.remove(damaged.arn)
            return self._place(base)
        if not ordered.is_here or base.remote is not None:
            return self._remote(base, ordered)
        if base.owner is None or (ordered.folder is not None and ordered.folder.is_dir()):
            return self._wish(ordered)
        # Custom models may share one network, each with its own files of it; those named in the order are deleted.
        self._resources.remove(present.arn)
        return self._place(base)

    def order_program(self, name: str, folder: Path) -> Order:
        """Ask for a program whose `ServingProgram` lies in `folder`; nothing changes while it is there, or on its way.

        One that was given up is told so.
        """
        order = self.find(name)
        if order is not None:
            return self._wish(order)
        place = {
            "kind": EngineKind.PROGRAM.value,
            "folder": str(folder),
            "socket": str(programs.socket_of(folder)),
            **dict.fromkeys(("host", "way", "context")),
        }
        try:
            return order_of(self._add(name, place, owner=None))
        except Conflict:  # somebody ordered it at the same moment
            return self.order_program(name, folder)

    def wish(self, name: str) -> Order | None:
        """Say that somebody still waits for this engine, and how it stands; None for one that nobody ordered."""
        order = self.find(name)
        return None if order is None else self._wish(order)

    def find(self, name: str) -> Order | None:
        """The engine of this name, if anybody ordered it. Raises Damaged."""
        row = self._resources.find(KIND, _EVERYWHERE, name)
        return None if row is None else order_of(row)

    def orders(self) -> list[Order]:
        """All that can be read; others are forgotten, and ordered anew by whoever needs them."""
        return each(self._resources.all(KIND), order_of, log=_log, name=_name, broken=self._forget)

    def forget(self, name: str) -> None:
        """Forget the order of an engine whose network is deleted; the pool ends it."""
        self._resources.remove(_arn(name))

    def retire(self, needed: Collection[str]) -> None:
        """Let the engines of custom models' own networks go but for those `needed`: these may be many.

        One that runs may have requests, or get some that were on their way: the pool ends it when it is idle.
        """
        for order in self.orders():
            if order.owner is None:
                continue
            if order.name not in needed and order.state not in RUNNING:
                self._resources.remove(_arn(order.name))
            elif order.needed != (order.name in needed):
                self.note(order.name, needed=order.name in needed)

    @property
    def has_own(self) -> bool:
        """Whether any engine is ordered for a custom model's own network."""
        return any(order.owner is not None for order in self.orders())

    def clear(self) -> None:
        """Forget every order, as at a fresh start; whoever needs an engine orders it again."""
        self._resources.remove_all(KIND)

    def enter(self, name: str, state: EngineState, **members: Any) -> None:
        """Note the next state of an engine, and members of its record. One that is gone meanwhile stays gone.

        Raises Conflict for a state that does not follow.
        """

        def decide(row: Resource) -> Change:
            if EngineState(row.status) is not state:
                LIFECYCLE.check(f"The engine of {name}", EngineState(row.status), state)
            return Change(state, {**row.document, **members})

        self._change(name, decide)

    def note(self, name: str, **members: Any) -> None:
        """Note members of an engine's record, in whatever state it is."""
        self._change(name, lambda row: Change(document={**row.document, **members}))

    def give_up(self, name: str, failure: str) -> None:
        """Note that this engine does not start, for whoever waits for it."""
        self.enter(name, EngineState.BROKEN, failure=failure, waits=None, heldBytes=0)

    def retry(self, name: str) -> None:
        """Let an engine that was given up be ordered anew."""
        row = self._resources.find(KIND, _EVERYWHERE, name)
        if row is not None and row.status == EngineState.BROKEN:
            self._resources.remove(row.arn)

    def _wish(self, order: Order) -> Order:
        now = self._clock.now()
        if not order.needed:
            self.note(order.name, needed=True)
        if order.state is EngineState.EVICTED:
            self._change(order.name, lambda row: _ordered_again(row, now))
        elif order.state is EngineState.ORDERED and now - order.wanted_at > _WISH_KEPT:
            self.note(order.name, wantedAt=now.isoformat())
        elif order.needed:
            return order
        return self.find(order.name) or order

    def _remote(self, base: BaseModel, order: Order) -> Order:
        """The order of a remote model, its use noted.

        A new one stands in its place where the model has moved, or is remote no more.
        """
        if base.remote is None or order.is_here or order.host != base.remote.host:
            self.forget(order.name)
            return self._place(base)
        now = self._clock.now()
        if order.last_used is None or now - order.last_used > _WISH_KEPT:
            self.note(order.name, lastUsed=now.isoformat())
        return order

    def _change(self, name: str, decide: Callable[[Resource], Change | None]) -> None:
        try:
            change(self._resources, _arn(name), at=self._clock.now(), decide=decide)
        except NotFound:
            return  # nobody needs it any more

    def _place(self, base: BaseModel) -> Order:
        try:
            return order_of(self._add(base.engine, self._place_of(base), owner=base.owner))
        except Conflict:  # somebody ordered it at the same moment
            return self.order(base)

    def _add(self, name: str, place: dict[str, Any], *, owner: str | None) -> Resource:
        """Raises Conflict where an engine of this name is ordered."""
        now = self._clock.now()
        # Nothing has to be started for a remote engine, and no request is sent to see whether it is there.
        remote = place["kind"] == EngineKind.REMOTE
        row = Resource(
            arn=_arn(name),
            kind=KIND,
            region=_EVERYWHERE,
            name=name,
            status=EngineState.READY if remote else EngineState.ORDERED,
            created=now,
            updated=now,
            document={
                **place,
                "failure": None,
                "owner": owner,
                "wantedSince": now.isoformat(),
                "wantedAt": now.isoformat(),
                "estimatedBytes": 0,
                "heldBytes": 0,
                "lastUsed": now.isoformat() if remote else None,
                "waits": None,
                "needed": True,
            },
        )
        return self._resources.add(row)

    def _place_of(self, base: BaseModel) -> dict[str, Any]:
        """The members of an order that say what runs, and where."""
        if base.remote is not None:
            nothing = dict.fromkeys(("folder", "socket", "way", "context"))
            return {"kind": EngineKind.REMOTE.value, "host": base.remote.host, **nothing}
        assert base.folder is not None, "only entries with weights are ordered"
        short = hashlib.sha256(base.engine.encode()).hexdigest()[:16]
        kind = self._environments.kind_for(entry_of(base.engine))
        # vLLM is started to write text, from the weights as they are.
        its_own = base.engine_task is not ModelTask.TEXT or base.precision is not WeightPrecision.FP32
        return {
            "kind": (EngineKind.EMBEDDED if its_own else kind).value,
            "host": None,
            "folder": str(base.folder),
            "socket": str(self._sockets / f"{short}.sock"),
            "way": base.way.value if base.way else None,
            "context": base.told_context,
            "task": base.engine_task.value,
            "weights": base.precision.value,
        }

    def _forget(self, row: Resource) -> None:
        self._resources.remove(row.arn)


def order_of(row: Resource) -> Order:
    """An engine's record, read. Raises Damaged."""
    with understood(row.arn):
        document = row.document
        owner, failure, waits = document["owner"], document["failure"], document["waits"]
        host = document.get("host")  # which orders of older programs do not have
        texts = (owner, failure, waits, host)
        if row.name is None or not all(isinstance(text, str | None) for text in texts):
            raise TypeError("an order has a name, and texts or nothing for the rest")
        return Order(
            name=row.name,
            kind=EngineKind(document["kind"]),
            state=EngineState(row.status),
            folder=_path(document["folder"]),
            socket=_path(document["socket"]),
            host=host,
            owner=owner,
            failure=failure,
            since=row.updated,
            wanted_since=datetime.fromisoformat(document["wantedSince"]),
            wanted_at=datetime.fromisoformat(document["wantedAt"]),
            way=document["way"],
            context=document["context"],
            estimated_bytes=int(document["estimatedBytes"]),
            held_bytes=int(document["heldBytes"]),
            last_used=_moment(document["lastUsed"]),
            waits=waits,
            needed=document.get("needed") is not False,  # which those placed by older programs do not have
            task=ModelTask(document.get("task", ModelTask.TEXT)),
            weights=WeightPrecision(document.get("weights", WeightPrecision.FP32)),
        )


def _ordered_again(row: Resource, now: datetime) -> Change | None:
    if row.status != EngineState.EVICTED:
        return None
    wished = {"wantedSince": now.isoformat(), "wantedAt": now.isoformat()}
    return Change(EngineState.ORDERED, {**row.document, **wished})


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _arn(name: str) -> str:
    return f"{KIND}/{name}"


def _name(row: Resource) -> str:
    return row.arn
