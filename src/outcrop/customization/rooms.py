"""The rooms below that customization uses, whoever opens them."""

from typing import Protocol

from outcrop.access.access import Access
from outcrop.buckets.buckets import Buckets
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.engines.sharing import MemorySharing
from outcrop.jobs.jobs import Jobs
from outcrop.keys.envelopes import Envelopes
from outcrop.keys.key_grants import KeyGrants
from outcrop.keys.keys import Keys
from outcrop.settings import Settings
from outcrop.store.store import Store


class Rooms(Protocol):
    """Everything a request for a job, and the job itself, may touch."""

    settings: Settings
    clock: Clock

    @property
    def store(self) -> Store: ...

    @property
    def access(self) -> Access: ...

    @property
    def buckets(self) -> Buckets: ...

    @property
    def data(self) -> Data: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def models(self) -> CustomModels: ...

    @property
    def envelopes(self) -> Envelopes: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def key_grants(self) -> KeyGrants: ...

    @property
    def sharing(self) -> MemorySharing: ...
