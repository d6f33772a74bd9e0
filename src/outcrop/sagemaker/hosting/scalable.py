"""Endpoints and inference components as the room that scales sees them: counts to be read, and to be set."""

from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.sagemaker.hosting import changes
from outcrop.sagemaker.hosting.endpoints import COMPONENT, KIND, EndpointRecord, with_capacities
from outcrop.sagemaker.hosting.plans import EndpointPlan, VariantPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.states import IN_CHANGE
from outcrop.scaling.resources import Capacity
from outcrop.scaling.target_id import Dimension, TargetId

_OWNER = "sagemaker.application-autoscaling.amazonaws.com"


class ScalableFleets:
    """The fleets of an installation's endpoints and components."""

    def __init__(self, house: HostingRooms) -> None:
        self._house = house

    def find(self, target: TargetId, *, region: str) -> Capacity | None:
        """The counts of a fleet; None where there is none, or where it has no instances. Raises Damaged."""
        record = self._record(target, region)
        wanted = None if record is None else _variant(record.desired, target)
        if record is None or wanted is None or wanted.fleet is None or wanted.serverless is not None:
            return None
        serving = None if record.serving is None else _variant(record.serving, target)
        return Capacity(
            desired=wanted.fleet.num_copies,
            current=0 if serving is None or serving.fleet is None else serving.fleet.num_copies,
            may_be_zero=target.dimension is Dimension.COPIES,
        )

    def set_desired(self, target: TargetId, count: int, *, region: str) -> None:
        """Ask for a change. Raises Conflict while there is another one, Invalid, NotFound."""
        record = self._record(target, region)
        variant = None if record is None else _variant(record.desired, target)
        if record is None or variant is None:
            raise NotFound(f"{target.resource_id}: there is no such resource.")
        if variant.fleet is not None and variant.fleet.num_copies == count:
            return  # asked for before a crash
        if record.status in IN_CHANGE:
            raise Conflict(f"{record.row.name} is {record.status}.")
        if record.row.document.get("base") is not None:
            raise Invalid(f"{record.row.name} is an adapter, and has as many copies as its base component.")
        counts = {variant.name: count}
        changes.ask(self._house, record, lambda now: with_capacities(now.desired, counts, {}), owner=_OWNER)

    def _record(self, target: TargetId, region: str) -> EndpointRecord | None:
        kind = COMPONENT if target.dimension is Dimension.COPIES else KIND
        return self._house.endpoints.find(region, target.names[0], kind=kind)


def _variant(plan: EndpointPlan, target: TargetId) -> VariantPlan | None:
    """The variant that is scaled; a component's plan has one, named as that of its endpoint."""
    if target.dimension is Dimension.COPIES:
        return plan.variants[0]
    return next((variant for variant in plan.variants if variant.name == target.names[1]), None)
