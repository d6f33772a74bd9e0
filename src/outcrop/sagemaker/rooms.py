"""The rooms below that training jobs use, whoever opens them."""

from typing import Protocol

from outcrop.access.access import Access
from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.engines.sharing import MemorySharing
from outcrop.jobs.jobs import Jobs
from outcrop.log_groups.log_groups import LogGroups
from outcrop.metrics.points import Points
from outcrop.settings import Settings
from outcrop.store.store import Store


class TrainingRooms(Protocol):
    """Everything a request for a training job, and the job itself, may touch."""

    settings: Settings
    clock: Clock

    @property
    def account(self) -> str: ...

    @property
    def store(self) -> Store: ...

    @property
    def access(self) -> Access: ...

    @property
    def data(self) -> Data: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def log_groups(self) -> LogGroups: ...

    @property
    def points(self) -> Points: ...

    @property
    def sharing(self) -> MemorySharing: ...
