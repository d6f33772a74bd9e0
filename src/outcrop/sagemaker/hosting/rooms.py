"""The rooms below that endpoints use, whoever opens them."""

from typing import Protocol

from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.engines.clients import Clients
from outcrop.engines.orders import Engines
from outcrop.sagemaker.hosting.endpoints import Endpoints
from outcrop.sagemaker.rooms import TrainingRooms


class HostingRooms(TrainingRooms, Protocol):
    """Everything that endpoints may touch, beside what training jobs do."""

    @property
    def endpoints(self) -> Endpoints: ...

    @property
    def engines(self) -> Engines: ...

    @property
    def clients(self) -> Clients: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def models(self) -> CustomModels: ...
