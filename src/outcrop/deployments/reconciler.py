"""Brings deployments from Creating to serving: order the engine, wait for it, load the adapter, compare, let it in.

One loop in the server. All its knowledge is in the database, so a restarted server goes on where the last one was.
"""

import asyncio
import logging

from anyio import to_thread

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.deployments import parity
from outcrop.deployments.clients import Clients
from outcrop.deployments.engines import Engines
from outcrop.deployments.records import Deployments
from outcrop.errors import Refusal
from outcrop.inference.client import EngineAway
from outcrop.store.resources import Resource

_PAUSE_S = 0.2
_log = logging.getLogger("outcrop.deployments")


class Reconciler:
    """`run` until cancelled."""

    def __init__(
        self, deployments: Deployments, engines: Engines, clients: Clients, catalog: Catalog, models: CustomModels
    ) -> None:
        self._deployments = deployments
        self._engines = engines
        self._clients = clients
        self._catalog = catalog
        self._models = models

    async def run(self) -> None:
        while True:
            for row in await to_thread.run_sync(self._deployments.pending):
                await self._settle(row)
            await to_thread.run_sync(self._retire)
            await asyncio.sleep(_PAUSE_S)

    def _retire(self) -> None:
        """Let the engines of custom models' own networks go when no deployment is left that needs them."""
        if not self._engines.has_own:
            return
        customs = [self._models.look(region, model_arn) for region, model_arn in self._deployments.served()]
        bases = [
            (self._catalog.find(custom.document["baseId"]), custom.arn) for custom in customs if custom is not None
        ]
        self._engines.retire({self._models.network_below(base, arn).engine for base, arn in bases if base is not None})

    async def _settle(self, row: Resource) -> None:
        try:
            failure = await self._failure_of(row)
        except EngineAway:
            return  # it is starting, or was killed and comes back: the next round asks again
        except Refusal as refusal:
            failure = refusal.message
        except (OSError, ValueError, KeyError) as broken:
            # A custom model whose files are gone or damaged must not stop the loop for all the others.
            failure = f"the files of the custom model cannot be read: {broken}"
        if failure is None:
            await to_thread.run_sync(self._deployments.serve, row)
        else:
            await to_thread.run_sync(self._deployments.fail, row, failure)
        logs.tell(_log, "deployment settled", deployment=row.arn, failure=failure)

    async def _failure_of(self, row: Resource) -> str | None:
        """None when the desired model is being served. Raises EngineAway while its engine is not there."""
        model_arn = row.document["desiredModelArn"]
        custom = self._models.look(row.region, model_arn)
        if custom is None:
            await self._engine_up(self._catalog.usable(model_arn))
            return None
        base = self._models.network_below(self._catalog.usable(custom.document["baseId"]), custom.arn)
        await self._engine_up(base)
        client = self._clients.of(base)
        adapter = self._models.adapter(custom.arn)
        if adapter is not None:
            await client.load_adapter(custom.arn, adapter)
        served = base.engine if adapter is None else custom.arn
        return (await parity.compare(client, served, self._models.folder(custom.arn))).failure

    async def _engine_up(self, base: BaseModel) -> None:
        order = await to_thread.run_sync(self._engines.order, base)
        if order.failure is not None:
            await to_thread.run_sync(self._engines.retry, base)
            raise Refusal(order.failure)
        if not await self._clients.of(base).health():
            raise EngineAway(f"The engine of {base.id} is starting.")
