"""Everything a handler may reach for, passed to each of them.

What guards the door is opened at the start; the buckets and the rooms that work on models when they are first needed.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar, TypeVarTuple

from anyio import to_thread

from outcrop.access.access import Access
from outcrop.access.caller import Credential
from outcrop.api.door.call import Call
from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.settings import Settings
from outcrop.store.store import Store

if TYPE_CHECKING:
    from outcrop.api.rooms import Rooms
    from outcrop.buckets.buckets import Buckets
    from outcrop.catalog.custom_models import CustomModels
    from outcrop.customization.context import Context
    from outcrop.deployments.records import Deployments
    from outcrop.invocation.resolve import Targets


_Asked = TypeVarTuple("_Asked")
_Answer = TypeVar("_Answer")


@dataclass
class _Once:
    """Whatever was opened first, for all threads."""

    rooms: "Rooms | None" = None
    buckets: "Buckets | None" = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def buckets_of(self, store: Store, clock: Clock) -> "Buckets":
        if self.buckets is None:
            with self.lock:
                from outcrop.buckets.buckets import Buckets

                self.buckets = self.buckets or Buckets(store, clock)
        return self.buckets


@dataclass(frozen=True, kw_only=True)
class Platform:
    settings: Settings
    store: Store
    clock: Clock
    access: Access
    account: str
    "The 12 digits of the one account."
    secret_for: Callable[[str], Credential | None]
    "What a signature with this access key is checked against."
    authorize: Callable[[Call], None]
    "Raises Denied when the caller may not make this call."
    health: Callable[[], dict[str, Any]]
    "What GET /health answers, as JSON."
    catalog: Catalog
    _once: _Once = field(default_factory=_Once)

    @classmethod
    def open(cls, settings: Settings, clock: Clock, *, health: Callable[[], dict[str, Any]]) -> Self:
        """Raises MachineTrouble when the home cannot be used."""
        store = Store.open(settings)
        once = _Once()
        catalog = Catalog(settings.home)
        access = Access.open(
            store,
            settings,
            clock,
            object_tags=lambda arn: once.buckets_of(store, clock).tags_by_arn(arn),
            foundation=catalog.find,
        )
        return cls(
            settings=settings,
            store=store,
            clock=clock,
            access=access,
            account=access.account,
            secret_for=access.secret_for,
            authorize=access.authorize,
            health=health,
            catalog=catalog,
            _once=once,
        )

    async def ask(self, question: Callable[[*_Asked], _Answer], *asked: *_Asked) -> _Answer:
        """What access and rows by their keys are asked: at once from a local file, else in a thread."""
        if self.store.is_local:
            return question(*asked)
        return await to_thread.run_sync(question, *asked)

    def rooms(self) -> "Rooms":
        """The rooms that work on models. The first call reads their code: not for the event loop."""
        with self._once.lock:
            if self._once.rooms is None:
                from outcrop.api.rooms import Rooms

                self._once.rooms = Rooms.open(
                    settings=self.settings,
                    store=self.store,
                    clock=self.clock,
                    access=self.access,
                    buckets=self.buckets,
                    catalog=self.catalog,
                )
            return self._once.rooms

    @property
    def buckets(self) -> "Buckets":
        return self._once.buckets_of(self.store, self.clock)

    @property
    def customization(self) -> "Context":
        return self.rooms().customization

    @property
    def models(self) -> "CustomModels":
        return self.customization.models

    @property
    def deployments(self) -> "Deployments":
        return self.rooms().deployments

    @property
    def targets(self) -> "Targets":
        return self.rooms().targets
