"""The clients of the engines, one for each, shared by everything in the server that talks to it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.engines.holding import HoldingClient
from outcrop.engines.orders import Engines, Order
from outcrop.errors import ModelFailed
from outcrop.inference.client import EngineClient

RETRY_AFTER = timedelta(minutes=1)
"What could not be loaded may have been mended since: so long after it was given up, a request has it tried again."


class Clients:
    """Clients by socket; `aclose` ends them all."""

    def __init__(
        self, engines: Engines, models: CustomModels, clock: Clock, *, damaged: Callable[[str, str], None]
    ) -> None:
        """`damaged` is told the ARN of a custom model whose files turned out to be of no use, and why."""
        self._engines = engines
        self._models = models
        self._clock = clock
        self._damaged = damaged
        self._clients: dict[Path, HoldingClient] = {}

    def of(self, base: BaseModel) -> HoldingClient:
        """The client of the engine that holds `base`, which is ordered if nobody did before.

        Raises ModelFailed while the engine is given up.
        """
        order = self._order(base)
        if order.failure is not None:
            raise ModelFailed(order.failure)
        if order.socket not in self._clients:
            self._clients[order.socket] = HoldingClient(
                EngineClient(order.socket),
                self._folder_of,
                damaged=self._damaged,
                wish=partial(self._wish, base),
            )
        return self._clients[order.socket]

    async def aclose(self) -> None:
        for client in self._clients.values():
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

    def _folder_of(self, adapter: str) -> Path | None:
        return self._models.adapter(adapter) if arn.is_arn(adapter) else None
