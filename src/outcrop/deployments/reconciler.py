"""Brings deployments from Creating to serving: order the engine, wait for it, load the adapter, compare, let it in.

All its knowledge is in the database, so a restarted server goes on where the last one was. Each deployment is settled
by a task of its own: one whose engine is slow, or whose record or files are damaged, keeps no other waiting.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence, Set
from functools import partial

from anyio import to_thread

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.deployments import parity
from outcrop.deployments.networks import network_of
from outcrop.deployments.records import Deployments, model_arns
from outcrop.engines.clients import Clients
from outcrop.engines.orders import Engines
from outcrop.errors import ModelFailed, Refusal
from outcrop.inference.client import EngineAway
from outcrop.loops import UNEXPECTED, contained
from outcrop.store.damage import Damaged
from outcrop.store.resources import Resource

_MOST_AT_ONCE = 32
_RETIRE_EVERY_S = 5.0
_UNEXPECTED = f"{UNEXPECTED} (the server's log has the details). Update the deployment to its model to try again."
_log = logging.getLogger("outcrop.deployments")


class Reconciler:
    """`turn` now and then; `aclose` at the end."""

    def __init__(
        self,
        deployments: Deployments,
        engines: Engines,
        clients: Clients,
        catalog: Catalog,
        models: CustomModels,
        *,
        also_used: Callable[[], Set[tuple[str, str]]] = frozenset,
    ) -> None:
        """`also_used`: region and ARN of the models that others than deployments use, batch jobs say."""
        self._also_used = also_used
        self._deployments = deployments
        self._engines = engines
        self._clients = clients
        self._catalog = catalog
        self._models = models
        self._watch = deployments.watch()
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, str] = {}
        self._any_waits = False
        self._may_retire = False
        self._retire_at = 0.0
        self._retired: tuple[Set[str], Set[tuple[str, str]]] = frozenset(), frozenset()
        "The engines and the models that were held against each other last."

    async def turn(self) -> None:
        """Look for deployments that wait, and go on with each; nothing is read where nobody has written anything."""
        with self._watch.news() as moved:
            if moved or self._any_waits:
                waiting = await to_thread.run_sync(partial(self._deployments.pending, most=_MOST_AT_ONCE))
                self._any_waits = bool(waiting)
                self._begin(waiting)
            self._may_retire |= moved
        if self._may_retire and time.monotonic() >= self._retire_at:
            self._retire_at = time.monotonic() + _RETIRE_EVERY_S
            await to_thread.run_sync(self._retire)
            self._may_retire = False

    def _begin(self, waiting: Sequence[Resource]) -> None:
        for row in waiting:
            if row.arn not in self._settling and len(self._settling) < _MOST_AT_ONCE:
                task = self._settling[row.arn] = asyncio.create_task(self._settle(row))
                task.add_done_callback(partial(self._settled, row.arn))

    def _settled(self, arn: str, _task: "asyncio.Task[None]") -> None:
        del self._settling[arn]

    async def aclose(self) -> None:
        tasks = list(self._settling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _retire(self) -> None:
        """Let the engines of custom models' own networks go when no deployment is left that needs them."""
        own = frozenset(order.name for order in self._engines.orders() if order.owner is not None)
        served = self._deployments.served() | self._also_used() if own else set()
        if not own or (own, served) == self._retired:
            return
        needed = set()
        for region, model_arn in served:
            try:
                needed.add(self._network(region, model_arn).engine)
            except (Refusal, Damaged):
                continue  # whoever asks for this model is told; it needs no engine
        self._engines.retire(needed)
        self._retired = own, served

    async def _settle(self, row: Resource) -> None:
        """Attempt once to settle a deployment; what raises fails this deployment alone."""
        with contained(_log, f"settling {row.arn}") as outcome:
            await self._try(row)
        if outcome.error is not None:
            sentence = outcome.error.message if isinstance(outcome.error, Damaged) else _UNEXPECTED
            with contained(_log, f"marking {row.arn}"):
                await to_thread.run_sync(self._deployments.spoil, row, sentence)

    async def _try(self, row: Resource) -> None:
        try:
            failure = await self._failure_of(row)
        except EngineAway as away:  # it is starting, or was killed and comes back: the next round asks again
            self._tell_waiting(row, away.message)
            return
        except Refusal as refusal:
            failure = refusal.message
        if failure is None:
            await to_thread.run_sync(self._deployments.serve, row)
        else:
            await to_thread.run_sync(self._deployments.fail, row, failure)
        self._waiting.pop(row.arn, None)
        logs.tell(_log, "deployment settled", deployment=row.arn, failure=failure)

    def _tell_waiting(self, row: Resource, sentence: str) -> None:
        """Log why a deployment waits, once for each reason."""
        if self._waiting.get(row.arn) != sentence:
            self._waiting[row.arn] = sentence
            logs.tell(_log, "deployment waits", deployment=row.arn, note=sentence)

    async def _failure_of(self, row: Resource) -> str | None:
        """None when the desired model is being served. Raises EngineAway while its engine is not there."""
        _, model_arn = model_arns(row)
        base = await to_thread.run_sync(self._network, row.region, model_arn)
        custom = self._models.look(row.region, model_arn)
        adapter = None if custom is None else self._models.adapter(custom.arn)
        await self._engine_up(base, row)
        if custom is None:
            return None
        client = self._clients.of(base)
        if adapter is not None:
            await client.load_adapter(custom.arn, adapter)
        served = base.engine if adapter is None else custom.arn
        return (await parity.compare(client, served, self._models.folder(custom.arn))).failure

    def _network(self, region: str, model_arn: str) -> BaseModel:
        """The network below a model. Raises Refusal, Damaged."""
        return network_of(self._catalog, self._models, region, model_arn)

    async def _engine_up(self, base: BaseModel, row: Resource) -> None:
        order = await to_thread.run_sync(self._engines.order, base)
        if order.failure is not None and order.since < row.updated:
            await to_thread.run_sync(self._engines.retry, order.name)  # given up before this was asked for
            raise EngineAway(f"The engine of {base.id} is tried again.")
        if order.failure is not None:
            raise ModelFailed(order.failure)
        if not await self._clients.of(base).health():
            raise EngineAway(order.waits or f"The engine of {base.id} is starting.")
