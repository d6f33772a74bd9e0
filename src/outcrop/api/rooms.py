"""The rooms that work on models, opened together: customization, deployments, and the way to the engines.

They are opened beside the first requests rather than before them: reading their code takes as long as all the rest of
the server's start.
"""

from dataclasses import dataclass
from typing import Self

from outcrop.access.access import Access
from outcrop.buckets.buckets import Buckets
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.customization.context import Context
from outcrop.deployments.reconciler import Reconciler
from outcrop.deployments.records import Deployments
from outcrop.engines.clients import Clients
from outcrop.engines.orders import Engines
from outcrop.engines.sharing import MemorySharing
from outcrop.invocation.resolve import Targets
from outcrop.jobs.jobs import Jobs
from outcrop.settings import Settings
from outcrop.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Rooms:
    customization: Context
    "What requests for jobs need."
    deployments: Deployments
    targets: Targets
    "From a modelId to the engine that answers it."
    clients: Clients
    reconciler: Reconciler

    @classmethod
    def open(
        cls,
        *,
        settings: Settings,
        store: Store,
        clock: Clock,
        access: Access,
        buckets: Buckets,
        catalog: Catalog,
    ) -> Self:
        models = CustomModels(store, clock, settings.models)
        engines = Engines(store, clock, settings)
        deployments = Deployments(store, clock)
        clients = Clients(engines, models, clock, damaged=deployments.fail_model)
        customization = Context(
            settings=settings,
            store=store,
            clock=clock,
            access=access,
            buckets=buckets,
            catalog=catalog,
            jobs=Jobs(store, clock),
            models=models,
            sharing=MemorySharing.open(store, clock, settings),
        )
        return cls(
            customization=customization,
            deployments=deployments,
            targets=Targets(catalog, models, deployments, clients),
            clients=clients,
            reconciler=Reconciler(deployments, engines, clients, catalog, models),
        )
