"""One client per engine, shared by everything in the server that talks to it."""

from pathlib import Path

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import CustomModels
from outcrop.deployments.engines import Engines
from outcrop.deployments.holding import HoldingClient


class Clients:
    """Clients by socket; `aclose` ends them all."""

    def __init__(self, engines: Engines, models: CustomModels) -> None:
        self._engines = engines
        self._models = models
        self._clients: dict[Path, HoldingClient] = {}

    def of(self, base: BaseModel) -> HoldingClient:
        """The client of the engine that holds `base`, which is ordered if nobody did before."""
        socket = self._engines.order(base).socket
        if socket not in self._clients:
            self._clients[socket] = HoldingClient(socket, self._folder_of)
        return self._clients[socket]

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    def _folder_of(self, adapter: str) -> Path | None:
        return self._models.adapter(adapter) if arn.is_arn(adapter) else None
