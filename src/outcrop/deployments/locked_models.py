"""Sealed models whose weights must leave the memory: their key may not be used, or nobody serves them.

Requests are refused already when they are resolved; here engines let go what they hold in clear. The key's state is in
the database, so nothing is asked of an engine as long as no key is disabled and no deployment has changed.
"""

from collections.abc import Set
from contextlib import suppress

from anyio import to_thread

from outcrop import arn
from outcrop.catalog.custom_models import CustomModels
from outcrop.engines.clients import Clients
from outcrop.engines.orders import Engines, Order
from outcrop.engines.states import EngineKind, EngineState
from outcrop.errors import Refusal
from outcrop.inference.client import EngineAway, UnknownAdapter
from outcrop.keys.envelopes import Envelopes
from outcrop.keys.key import KEY, KeyState
from outcrop.keys.sealed_folder import wrapped_key_of
from outcrop.keys.sealed_records import sealed_by
from outcrop.network import headers
from outcrop.store.store import Store

_WATCHED = (KeyState.DISABLED, KeyState.PENDING_DELETION)


class LockedModels:
    """The sealed models of an installation, as far as their weights may be in memory."""

    def __init__(
        self, store: Store, envelopes: Envelopes, engines: Engines, clients: Clients, models: CustomModels
    ) -> None:
        self._store = store
        self._envelopes = envelopes
        self._engines = engines
        self._clients = clients
        self._models = models

    def any_key(self) -> bool:
        """Whether any KMS key may not be used now."""
        return next(iter(self._store.resources.in_states(KEY, list(_WATCHED))), None) is not None

    def is_locked(self, model_arn: str) -> bool:
        """Whether the model is sealed by a key that may not be used now."""
        row = self._store.resources.get(model_arn)
        wrapped = None if row is None else sealed_by(row.document)
        if wrapped is None:
            return False
        try:
            self._envelopes.check(wrapped)
        except Refusal:
            return True
        return False

    def drop_engines(self) -> None:
        """Have engines of locked networks end with the last of their requests."""
        for order in self._engines.orders():
            if order.folder is None or not headers.is_sealed(order.folder):
                continue
            try:
                for wrapped in filter(None, map(wrapped_key_of, order.folder.glob("*.safetensors"))):
                    self._envelopes.check(wrapped)
            except Refusal:
                self._engines.forget(order.name)

    async def drop_adapters(self, served: Set[str]) -> None:
        """Have engines let go the adapters of sealed models that are locked, or not among those `served`, by ARN."""
        for order in await to_thread.run_sync(self._running):
            client = self._clients.at(order)
            with suppress(EngineAway, Refusal):
                held = [name for name in await client.models() if arn.is_arn(name)]
                for name in await to_thread.run_sync(self._leaving, held, served):
                    with suppress(UnknownAdapter):
                        await client.unload_adapter(name)

    def _running(self) -> list[Order]:
        ready = (order for order in self._engines.orders() if order.state is EngineState.READY)
        return [order for order in ready if order.kind is EngineKind.EMBEDDED]

    def _leaving(self, held: list[str], served: Set[str]) -> list[str]:
        return [name for name in held if self._is_sealed(name) and (name not in served or self.is_locked(name))]

    def _is_sealed(self, model_arn: str) -> bool:
        row = self._store.resources.get(model_arn)
        if row is None:  # deleted meanwhile
            return model_arn in self._clients.sealed
        return sealed_by(row.document) is not None
