"""Brings deployments from Creating to serving: order the engine, wait for it, load the adapter, compare, let it in.
Before a provisioned throughput is let in, its network is measured, once.

All its knowledge is in the database, so a restarted server goes on where the last one was. Each deployment is settled
by a task of its own: one whose engine is slow, or whose record or files are damaged, keeps no other waiting.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from datetime import timedelta
from functools import partial

from anyio import to_thread

from outcrop import logs
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.deployments import parity, parity_reports
from outcrop.deployments.locked_models import LockedModels
from outcrop.deployments.model_units import ModelUnits
from outcrop.deployments.networks import network_of
from outcrop.deployments.precision import precision_of
from outcrop.deployments.records import Deployments, model_arns
from outcrop.deployments.states import THROUGHPUT, UPDATING
from outcrop.engines.clients import Clients
from outcrop.engines.orders import Engines
from outcrop.engines.states import EngineState
from outcrop.errors import ModelFailed, Refusal, Unavailable
from outcrop.inference.client import EngineAway
from outcrop.loops import UNEXPECTED, contained
from outcrop.network.weight_precision import WeightPrecision
from outcrop.store.damage import Damaged
from outcrop.store.resources import Resource

_MOST_AT_ONCE = 32
_MOST_WAITING = 1000
"So many that were tried before are read again beside new ones."
_RETIRE_EVERY = timedelta(seconds=5)
_UPDATE_WAITS = timedelta(minutes=10)
"""So long an update waits for its engine. Two networks of one deployment may not fit into the memory together, and as
long as it waits, it cannot be changed or deleted."""
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
        units: ModelUnits,
        clock: Clock,
        *,
        locked: LockedModels,
        also_used: Callable[[], Set[tuple[str, str]]] = frozenset,
    ) -> None:
        """`locked` knows which sealed models may not be in memory. `also_used`: region and ARN of the models that
        others than deployments use, batch jobs say."""
        self._locked = locked
        self._any_locked = False
        self._also_used = also_used
        self._deployments = deployments
        self._engines = engines
        self._clients = clients
        self._catalog = catalog
        self._models = models
        self._units = units
        self._clock = clock
        self._measuring = asyncio.Lock()
        "One network at a time: together, each would look slower than it is."
        self._watch = deployments.watch()
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, str] = {}
        self._tried: dict[str, int] = {}
        "The deployments that wait, by when they were tried last."
        self._turns = 0
        self._any_waits = False
        self._may_retire = False
        self._retire_at = clock.now()
        self._retired: tuple[Set[str], Set[tuple[str, str]]] = frozenset(), frozenset()
        "The engines and the models that were held against each other last."

    async def turn(self) -> None:
        """Look for deployments that wait, and go on with each; nothing is read where nobody has written anything."""
        with self._watch.news() as moved:
            if moved or self._any_waits:
                most = _MOST_AT_ONCE + min(len(self._tried), _MOST_WAITING)
                waiting = await to_thread.run_sync(partial(self._deployments.pending, most=most))
                self._any_waits = bool(waiting)
                self._begin(waiting)
            self._may_retire |= moved
        if self._clock.now() >= self._retire_at:
            self._retire_at = self._clock.now() + _RETIRE_EVERY
            before, self._any_locked = self._any_locked, await to_thread.run_sync(self._locked.any_key)
            if self._may_retire or self._any_locked or before:
                await to_thread.run_sync(self._retire)
                await to_thread.run_sync(self._keep_provisioned)
                self._may_retire = False
                if self._any_locked:
                    await to_thread.run_sync(self._locked.drop_engines)
                served = await to_thread.run_sync(self._served)
                await self._locked.drop_adapters({model_arn for _, model_arn in served})

    def _begin(self, waiting: Sequence[Resource]) -> None:
        # Whoever was tried longest ago comes first: of many that wait for engines, none keeps the others from theirs.
        self._tried = {row.arn: self._tried.get(row.arn, 0) for row in waiting}
        for row in sorted(waiting, key=lambda row: self._tried[row.arn]):
            if row.arn not in self._settling and len(self._settling) < _MOST_AT_ONCE:
                self._turns += 1
                self._tried[row.arn] = self._turns
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
        served = self._served() if own else set()
        if not own or (own, served) == self._retired:
            return
        needed = set()
        for region, model_arn in served:
            try:
                for precision in self._deployments.precisions(model_arn) | {WeightPrecision.FP32}:
                    needed.add(self._network(region, model_arn, precision).engine)
            except (Refusal, Damaged):
                continue  # whoever asks for this model is told; it needs no engine
        self._engines.retire(needed)
        self._retired = own, served

    def _served(self) -> set[tuple[str, str]]:
        """Region and ARN of the models that somebody uses."""
        return self._deployments.served() | self._also_used()

    def _keep_provisioned(self) -> None:
        """Order the engines of provisioned throughput that are not there, as after a start: they are bought."""
        for row in self._deployments.provisioned():
            with suppress(Refusal, Damaged):  # whoever asks for this model is told; it needs no engine
                if self._any_locked and self._locked.is_locked(model_arns(row)[0]):
                    continue
                base = self._network(row.region, model_arns(row)[0], precision_of(row))
                order = self._engines.find(base.engine)
                if order is None or order.state is EngineState.EVICTED:
                    self._engines.order(base)

    async def _settle(self, row: Resource) -> None:
        """Attempt once to settle a deployment; what raises fails this deployment alone.

        A database that does not answer fails none: the next round tries again.
        """
        with contained(_log, f"settling {row.arn}") as outcome:
            await self._try(row)
        if outcome.error is not None and not isinstance(outcome.error, Unavailable):
            sentence = outcome.error.message if isinstance(outcome.error, Damaged) else _UNEXPECTED
            with contained(_log, f"marking {row.arn}"):
                await to_thread.run_sync(self._deployments.spoil, row, sentence)

    async def _try(self, row: Resource) -> None:
        try:
            failure = await self._failure_of(row)
        except EngineAway as away:  # it is starting, or was killed and comes back: the next round asks again
            if row.status != UPDATING or self._clock.now() - row.updated < _UPDATE_WAITS:
                self._tell_waiting(row, away.message)
                return
            failure = f"{away.message} The update was given up after {_UPDATE_WAITS.seconds // 60} minutes."
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
        base = await to_thread.run_sync(self._network, row.region, model_arn, precision_of(row))
        custom = self._models.look(row.region, model_arn)
        await self._engine_up(base, row)
        served = base.engine
        if custom is not None:
            served, failure = await self._proven(base, custom, row)
            if failure is not None:
                return failure
        if row.kind == THROUGHPUT:
            await self._measure(base, served)
        return None

    async def _proven(self, base: BaseModel, custom: Resource, row: Resource) -> tuple[str, str | None]:
        """The name by which the engine of `base` knows a custom model, and why it may not be served."""
        client, served = self._clients.of(base), base.engine
        adapter = self._models.adapter(custom.arn)
        if adapter is not None:
            await client.load_adapter(custom.arn, adapter)
            served = custom.arn
        keys = await to_thread.run_sync(self._models.keys, custom.arn)
        found = await parity.compare(client, served, self._models.folder(custom.arn), keys)
        kept = parity_reports.to_document(found, custom.arn)
        await to_thread.run_sync(self._deployments.note, row, kept)
        return served, found.failure

    async def _measure(self, base: BaseModel, served: str) -> None:
        """Measure what a model unit of this network is, where nobody has yet."""
        async with self._measuring:
            if await to_thread.run_sync(self._units.rate_of, base) is not None:
                return
            rate = await self._units.measure(base, self._clients.of(base), served)
            await to_thread.run_sync(self._units.write, rate)
            logs.tell(_log, "network measured", network=rate.network, tokens_per_minute=round(rate.tokens_per_minute))

    def _network(self, region: str, model_arn: str, precision: WeightPrecision) -> BaseModel:
        """The network below a model. Raises Refusal, Damaged."""
        return network_of(self._catalog, self._models, region, model_arn, precision)

    async def _engine_up(self, base: BaseModel, row: Resource) -> None:
        order = await to_thread.run_sync(self._engines.order, base)
        if order.failure is not None and order.since < row.updated:
            await to_thread.run_sync(self._engines.retry, order.name)  # given up before this was asked for
            raise EngineAway(f"The engine of {base.id} is tried again.")
        if order.failure is not None:
            raise ModelFailed(order.failure)
        if not await self._clients.of(base).health():
            raise EngineAway(order.waits or f"The engine of {base.id} is starting.")
