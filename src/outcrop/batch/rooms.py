"""The rooms below that batch inference uses, whoever opens them."""

from typing import Protocol

from outcrop.access.access import Access
from outcrop.batch.shares import Shares
from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.engines.orders import Engines
from outcrop.invocation.resolve import Targets
from outcrop.jobs.asking_loop import AskingLoop
from outcrop.jobs.jobs import Jobs
from outcrop.metrics.points import Points
from outcrop.settings import Settings
from outcrop.store.store import Store


class BatchRooms(Protocol):
    """Everything a request for a batch job, and the job itself, may touch."""

    settings: Settings
    clock: Clock

    @property
    def store(self) -> Store: ...

    @property
    def access(self) -> Access: ...

    @property
    def data(self) -> Data: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def targets(self) -> Targets: ...

    @property
    def engines(self) -> Engines: ...

    @property
    def points(self) -> Points: ...

    @property
    def batch_shares(self) -> Shares: ...

    @property
    def asking_loop(self) -> AskingLoop: ...
