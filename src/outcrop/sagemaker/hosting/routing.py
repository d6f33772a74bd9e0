"""The way of a request from an endpoint's name to the model that answers it.

The variant is drawn by weight, or named; the copy is the least busy one. Nothing is remembered of endpoints but what
their records say, and of models what they were made ready as, which never changes.
"""

import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from outcrop.engines import programs
from outcrop.errors import ServiceRefusal, Throttled
from outcrop.inference.unix_client import UnixClient
from outcrop.isolation import inward
from outcrop.sagemaker.hosting.endpoints import COMPONENT, KIND, EndpointRecord
from outcrop.sagemaker.hosting.fleets import Fleets, copy_folder
from outcrop.sagemaker.hosting.hosted import HostedModel
from outcrop.sagemaker.hosting.plans import EndpointPlan, FleetPlan, VariantPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms

_CONNECT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Route:
    """The model that a request goes to."""

    endpoint: EndpointRecord
    "The endpoint, or its component."
    endpoint_name: str
    variant: VariantPlan
    fleet: FleetPlan
    model: HostedModel


class NoCopies(ServiceRefusal):
    """A request to something that has no copies now, so that nobody can answer."""

    def __init__(self, record: EndpointRecord, name: str) -> None:
        super().__init__(
            "ValidationError",
            f"{name} has no copies now, so nobody can answer. Raise its number, or wait until scaling has.",
            http_status=400,
        )
        self.record = record


class Router:
    """The router of one process. Used on its event loop, but for `find`."""

    def __init__(self, house: HostingRooms) -> None:
        self._house = house
        self._fleets = Fleets(house)
        self._models: dict[str, HostedModel] = {}
        self._running: Counter[str] = Counter()
        "Requests under way, by copy and by fleet."

    def find(self, region: str, name: str, *, variant: str | None, component: str | None) -> Route:
        """The route of a request. Raises ServiceRefusal, in SageMaker's words."""
        record = self._house.endpoints.find(region, name)
        if record is None or record.serving is None:
            raise refused(f"Endpoint {name} of account {self._house.account} not found.")
        if component is not None:
            record = self._component(region, name, component)
        assert record.serving is not None, "asked for"
        chosen = self._variant(record, record.serving, variant if component is None else None)
        if chosen.fleet is None:
            raise refused(
                "Inference Component Name header is required for endpoints to which you plan to deploy inference "
                "components. Please include Inference Component Name header or consider using SageMaker models."
            )
        if not chosen.fleet.num_copies:
            raise NoCopies(record, name if component is None else component)
        return Route(
            endpoint=record, endpoint_name=name, variant=chosen, fleet=chosen.fleet, model=self._model(chosen.fleet)
        )

    def _component(self, region: str, endpoint: str, name: str) -> EndpointRecord:
        found = self._house.endpoints.find(region, name, kind=COMPONENT)
        if found is None or found.serving is None or found.endpoint_name != endpoint:
            raise refused(f"Inference Component {name} not found on endpoint {endpoint}.")
        return found

    def running_of(self, fleet_id: str) -> int:
        """Requests under way to a fleet."""
        return self._running[fleet_id]

    @contextmanager
    def counted(self, route: Route) -> Iterator[None]:
        """Count a request while it is under way. Raises Throttled beyond what a serverless variant takes at once."""
        most = route.variant.max_concurrency
        if most is not None and self._running[route.fleet.id] >= most:
            raise Throttled(
                f"Rate exceeded: the endpoint {route.endpoint_name} takes {most} requests at once.", retry_after_s=1.0
            )
        with self._counting(route.fleet.id):
            yield

    @contextmanager
    def copy(self, fleet: FleetPlan, *, without: set[str]) -> Iterator[tuple[str, UnixClient]]:
        """The least busy copy of a fleet, and its client; of those in `without` none, if there are others."""
        names = [name for name in fleet.copies if name not in without] or fleet.copies
        assert names, "a route leads to copies"
        name = min(names, key=lambda each: (self._running[each], random.random()))
        folder = programs.own_folder(copy_folder(self._house.settings, name))
        with self._counting(name):
            yield name, UnixClient(folder, connect_s=_CONNECT_S, connected=_connect)

    def fleet_now(self, route: Route) -> FleetPlan:
        """The fleet that a route leads to now, which may be another since the request came.

        Raises ServiceRefusal where it leads nowhere any more.
        """
        if route.endpoint.row.kind not in (KIND, COMPONENT):
            return route.fleet  # of a job, which has it as long as it runs
        record = self._house.endpoints.get(route.endpoint.row.arn)
        for variant in record.serving.variants if record is not None and record.serving is not None else ():
            if variant.name == route.variant.name and variant.fleet is not None and variant.fleet.num_copies:
                return variant.fleet
        raise refused(f"Endpoint {route.endpoint_name} of account {self._house.account} not found.")

    @contextmanager
    def _counting(self, name: str) -> Iterator[None]:
        self._running[name] += 1
        try:
            yield
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]

    def _variant(self, record: EndpointRecord, plan: EndpointPlan, named: str | None) -> VariantPlan:
        if named is not None:
            found = next((variant for variant in plan.variants if variant.name == named), None)
            if found is None:
                raise refused(f"Variant {named} of endpoint {record.row.name} not found.")
            return found
        weights = [variant.weight for variant in plan.variants]
        return random.choices(plan.variants, weights)[0] if any(weights) else plan.variants[0]

    def _model(self, fleet: FleetPlan) -> HostedModel:
        if fleet.model_key not in self._models:
            self._models[fleet.model_key] = self._fleets.hosted(fleet)
        return self._models[fleet.model_key]


def refused(message: str) -> ServiceRefusal:
    """A refusal of the runtime, whose code for it is not that of SageMaker's other operations."""
    return ServiceRefusal("ValidationError", message, http_status=400)


def _connect(folder: Path) -> socket.socket:
    return inward.connect(folder, programs.SOCKET, timeout_s=0)
