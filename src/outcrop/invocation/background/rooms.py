"""The rooms below that a job which asks models uses, whoever opens them."""

from typing import Protocol

from outcrop.access.access import Access
from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.invocation.resolve import Targets
from outcrop.jobs.asking_loop import AskingLoop
from outcrop.jobs.jobs import Jobs
from outcrop.settings import Settings
from outcrop.store.store import Store


class AskingRooms(Protocol):
    """The rooms that a request for a job that asks models, and the job itself, may touch."""

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
    def asking_loop(self) -> AskingLoop: ...
