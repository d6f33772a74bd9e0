"""Which engines should run. The server orders one per network: a base model's, or a custom model's own. The supervisor
of `outcrop up` reads the orders and keeps the processes alive. They meet in the database; whether an engine answers is
asked at its own socket."""

import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from outcrop.catalog.base_model import BaseModel
from outcrop.clock import Clock
from outcrop.errors import Conflict
from outcrop.loops import each
from outcrop.settings import Settings
from outcrop.store.changing import Change, change
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "engine"
ORDERED = "Ordered"
BROKEN = "Broken"
_EVERYWHERE = "local"
_log = logging.getLogger("outcrop.deployments")


@dataclass(frozen=True, kw_only=True)
class Order:
    """One engine that should run."""

    name: str
    "Id of the catalogue entry whose weights it holds; with `@` and a custom model's id, that model's own network."
    folder: Path
    socket: Path
    owner: str | None
    "Id of the custom model whose own network it holds; None for a base model's."
    failure: str | None
    "Why it was given up, when it was."
    since: datetime
    "When it was ordered, or given up."
    way: str | None
    "In which the network is run; None: it was not tried yet."
    context: int | None
    "Its context length, where its configuration names none."


class Engines:
    """The orders of an installation."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._resources = store.resources
        self._clock = clock
        self._sockets = settings.sockets

    def order(self, base: BaseModel) -> Order:
        """Ask for an engine that holds `base`; asking again changes nothing."""
        try:
            present = self._resources.find(KIND, _EVERYWHERE, base.engine)
            if present is None:
                return self._place(base)
            ordered = _order(present)
        except Damaged as damaged:  # an order says nothing that cannot be said anew
            self._resources.remove(damaged.arn)
            return self._place(base)
        if base.owner is None or ordered.folder.is_dir():
            return ordered
        # Custom models may share one network, each with its own files of it; those named in the order are deleted.
        self._resources.remove(present.arn)
        return self._place(base)

    def orders(self) -> list[Order]:
        """All that can be read; others are forgotten, and ordered anew by whoever needs them."""
        return each(self._resources.all(KIND), _order, log=_log, name=_name, broken=self._forget)

    def retire(self, needed: Collection[str]) -> None:
        """Forget the orders of custom models' own networks but for those `needed`: these may be many."""
        for order in self.orders():
            if order.owner is not None and order.name not in needed:
                self._resources.remove(f"{KIND}/{order.name}")

    @property
    def has_own(self) -> bool:
        """Whether any engine is ordered for a custom model's own network."""
        return any(order.owner is not None for order in self.orders())

    def clear(self) -> None:
        """Forget every order, as at a fresh start; whoever needs an engine orders it again."""
        self._resources.remove_all(KIND)

    def give_up(self, name: str, failure: str) -> None:
        """Note that this engine does not start, for whoever waits for it."""
        row = self._resources.find(KIND, _EVERYWHERE, name)
        if row is not None:
            document = {**row.document, "failure": failure}
            change(self._resources, row.arn, at=self._clock.now(), decide=lambda _: Change(BROKEN, document))

    def failure(self, name: str) -> str | None:
        """Why this engine was given up; None while it was not, and for one that nobody ordered."""
        row = self._resources.find(KIND, _EVERYWHERE, name)
        return None if row is None else _order(row).failure

    def retry(self, name: str) -> None:
        """Let an engine that was given up be ordered anew."""
        row = self._resources.find(KIND, _EVERYWHERE, name)
        if row is not None and row.status == BROKEN:
            self._resources.remove(row.arn)

    def _place(self, base: BaseModel) -> Order:
        assert base.folder is not None, "only entries with weights are ordered"
        now = self._clock.now()
        short = hashlib.sha256(base.engine.encode()).hexdigest()[:16]
        document = {
            "folder": str(base.folder),
            "socket": str(self._sockets / f"{short}.sock"),
            "failure": None,
            "owner": base.owner,
            "way": base.way.value if base.way else None,
            "context": base.told_context,
        }
        row = Resource(
            arn=_arn(base),
            kind=KIND,
            region=_EVERYWHERE,
            name=base.engine,
            status=ORDERED,
            created=now,
            updated=now,
            document=document,
        )
        try:
            return _order(self._resources.add(row))
        except Conflict:  # somebody ordered it at the same moment
            return self.order(base)

    def _forget(self, row: Resource) -> None:
        self._resources.remove(row.arn)


def _arn(base: BaseModel) -> str:
    return f"{KIND}/{base.engine}"


def _name(row: Resource) -> str:
    return row.arn


def _order(row: Resource) -> Order:
    """Raises Damaged."""
    with understood(row.arn):
        document = row.document
        owner, failure = document["owner"], document["failure"]
        if row.name is None or not isinstance(owner, str | None) or not isinstance(failure, str | None):
            raise TypeError("an order has a name, and texts or nothing for the rest")
        return Order(
            name=row.name,
            folder=Path(document["folder"]),
            socket=Path(document["socket"]),
            owner=owner,
            failure=failure,
            since=row.updated,
            way=document["way"],
            context=document["context"],
        )
