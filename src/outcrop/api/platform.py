"""Everything a handler may reach for, opened once at start and passed to each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from outcrop.access.access import Access
from outcrop.access.caller import Credential
from outcrop.api.call import Call
from outcrop.buckets.buckets import Buckets
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.customization.context import Context
from outcrop.deployments.records import Deployments
from outcrop.invocation.resolve import Targets
from outcrop.settings import Settings
from outcrop.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Platform:
    settings: Settings
    store: Store
    clock: Clock
    access: Access
    buckets: Buckets
    account: str
    "The 12 digits of the one account."
    secret_for: Callable[[str], Credential | None]
    "What a signature with this access key is checked against."
    authorize: Callable[[Call], None]
    "Raises Denied when the caller may not make this call."
    customization: Context
    "What requests for jobs need."
    deployments: Deployments
    targets: Targets
    "From a modelId to the engine that answers it."
    health: Callable[[], dict[str, Any]]
    "What GET /health answers, as JSON."

    @property
    def catalog(self) -> Catalog:
        return self.customization.catalog

    @property
    def models(self) -> CustomModels:
        return self.customization.models
