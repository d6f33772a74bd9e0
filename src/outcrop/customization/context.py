"""The rooms below that customization uses, together: made once by each process that needs them."""

from dataclasses import dataclass

from outcrop.access.access import Access
from outcrop.buckets.buckets import Buckets
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.engines.sharing import MemorySharing
from outcrop.jobs.jobs import Jobs
from outcrop.settings import Settings
from outcrop.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything a request for a job, and the job itself, may touch."""

    settings: Settings
    store: Store
    clock: Clock
    access: Access
    buckets: Buckets
    catalog: Catalog
    jobs: Jobs
    models: CustomModels
    sharing: MemorySharing
    "The memory that trainings and engines have together."
