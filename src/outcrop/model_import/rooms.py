"""The rooms below that importing a model uses, whoever opens them."""

from typing import Protocol

from outcrop.access.access import Access
from outcrop.catalog.imported_models import ImportedModels
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.engines.sharing import MemorySharing
from outcrop.jobs.jobs import Jobs
from outcrop.keys.envelopes import Envelopes
from outcrop.settings import Settings
from outcrop.store.store import Store


class ImportRooms(Protocol):
    """Everything a request for an import, and the import itself, may touch."""

    settings: Settings
    clock: Clock

    @property
    def store(self) -> Store: ...

    @property
    def access(self) -> Access: ...

    @property
    def data(self) -> Data: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def imported_models(self) -> ImportedModels: ...

    @property
    def envelopes(self) -> Envelopes: ...

    @property
    def sharing(self) -> MemorySharing: ...
