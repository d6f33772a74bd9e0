"""The clients of the engines, one for each, shared by everything in the server that talks to it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.engines.environments import EngineEnvironments
from outcrop.engines.holding import HoldingClient
from outcrop.engines.orders import Engines, Order
from outcrop.engines.protocol import ServingEngine
from outcrop.engines.states import EngineKind
from outcrop.engines.vllm_client import VllmClient
from outcrop.errors import ModelFailed
from outcrop.inference.client import EngineClient
from outcrop.keys.sealed_content import OpenKey
from outcrop.keys.sealed_folder import OpenedKeys, no_keys
from outcrop.keys.sealed_records import key_told
from outcrop.network import headers

RETRY_AFTER = timedelta(minutes=1)
"What could not be loaded may have been mended since: so long after it was given up, a request has it tried again."


class Clients:
    """Clients by socket; `aclose` ends them all."""

    def __init__(
        self,
        engines: Engines,
        environments: EngineEnvironments,
        models: CustomModels,
        clock: Clock,
        *,
        damaged: Callable[[str, str], None],
        open_key: OpenKey = no_keys,
    ) -> None:
        """`damaged` is told the ARN of a custom model whose files turned out to be of no use, and why. `open_key` opens
        the data keys of sealed models."""
        self._engines = engines
        self._environments = environments
        self._models = models
        self._clock = clock
        self._damaged = damaged
        self._open_key = open_key
        self._clients: dict[tuple[EngineKind, Path], HoldingClient] = {}
        self._watching: dict[tuple[EngineKind, Path], ServingEngine] = {}

    def of(self, base: BaseModel) -> HoldingClient:
        """The client of the engine that holds `base`, which is ordered if nobody did before.

        Raises ModelFailed while the engine is given up.
        """
        order = self._order(base)
        if order.failure is not None:
            raise ModelFailed(order.failure)
        assert order.socket is not None, "a remote model is asked in words, by a client of its own"
        key = (order.kind, order.socket)
        if key not in self._clients:
            self._clients[key] = HoldingClient(
                self._client(order.kind, order.socket),
                self._folder_of,
                damaged=self._damaged,
                wish=partial(self._wish, base),
                keys_of=self._keys_of,
            )
        return self._clients[key]

    def at(self, order: Order) -> ServingEngine:
        """A client of an engine that is there, by whose means nothing is brought in or ordered."""
        assert order.socket is not None, "a remote model is asked in words, by a client of its own"
        key = (order.kind, order.socket)
        if key not in self._watching:
            self._watching[key] = self._client(*key)
        return self._watching[key]

    @property
    def sealed(self) -> set[str]:
        """The sealed adapters that this process has brought to engines."""
        return set().union(*(client.sealed for client in self._clients.values()))

    def _client(self, kind: EngineKind, socket: Path) -> ServingEngine:
        vllm = self._environments.vllm() if kind is EngineKind.VLLM else None
        return EngineClient(socket) if vllm is None else VllmClient(socket, dtype=vllm.dtype)

    async def aclose(self) -> None:
        for client in (*self._clients.values(), *self._watching.values()):
            await client.aclose()

    def _order(self, base: BaseModel) -> Order:
        order = self._engines.order(base)
        if order.failure is None or self._clock.now() - order.since < RETRY_AFTER:
            return order
        self._engines.retry(order.name)
        return self._engines.order(base)

    def _wish(self, base: BaseModel) -> Order | None:
        """Say that somebody waits. An order that was forgotten meanwhile, for no deployment needed it, is placed anew
        while its files are there: a request that was on its way is answered."""
        order = self._engines.wish(base.engine)
        if order is None and base.folder is not None and base.folder.is_dir():
            return self._engines.order(base)
        return order

    def _keys_of(self, folder: Path) -> str:
        with key_told():
            return OpenedKeys.of([folder], self._open_key).to_text() if headers.is_sealed(folder) else ""

    def _folder_of(self, adapter: str) -> Path | None:
        return self._models.adapter(adapter) if arn.is_arn(adapter) else None
