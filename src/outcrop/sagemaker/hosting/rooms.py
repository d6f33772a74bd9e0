"""The rooms below that endpoints use, whoever opens them."""

from typing import TYPE_CHECKING, Protocol

from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.engines.clients import Clients
from outcrop.engines.orders import Engines
from outcrop.invocation.resolve import Targets
from outcrop.jobs.asking_loop import AskingLoop
from outcrop.sagemaker.hosting.endpoints import Endpoints
from outcrop.sagemaker.rooms import TrainingRooms

if TYPE_CHECKING:
    from outcrop.sagemaker.hosting.routing import Router


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


class InvokingRooms(HostingRooms, Protocol):
    """Everything that whoever asks the models behind endpoints may touch."""

    @property
    def endpoint_router(self) -> "Router": ...

    @property
    def asking_loop(self) -> AskingLoop: ...

    @property
    def targets(self) -> Targets: ...
