"""The rooms below that batch inference uses, whoever opens them."""

from typing import Protocol

from outcrop.batch.shares import Shares
from outcrop.engines.orders import Engines
from outcrop.invocation.background.rooms import AskingRooms
from outcrop.metrics.points import Points


class BatchRooms(AskingRooms, Protocol):
    """Everything a request for a batch job, and the job itself, may touch."""

    @property
    def engines(self) -> Engines: ...

    @property
    def points(self) -> Points: ...

    @property
    def batch_shares(self) -> Shares: ...
