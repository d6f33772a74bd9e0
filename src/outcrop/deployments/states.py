"""The states of deployments, in the service model's words, and what may follow what.

Both kinds go the same way. On demand, `Updating` is on record only: clients see such a deployment as Active.
"""

from enum import StrEnum
from typing import Any

from outcrop.lifecycle import Lifecycle
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

ON_DEMAND = "custom-model-deployment"
THROUGHPUT = "provisioned-model"


class OnDemandStatus(StrEnum):
    """States of a custom model deployment."""

    CREATING = "Creating"
    ACTIVE = "Active"
    UPDATING = "Updating"
    FAILED = "Failed"


class ThroughputStatus(StrEnum):
    """States of a provisioned model throughput."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    FAILED = "Failed"


CREATING: str = OnDemandStatus.CREATING
UPDATING: str = OnDemandStatus.UPDATING
FAILED: str = OnDemandStatus.FAILED
"Both kinds spell these alike."
SERVING: dict[str, str] = {ON_DEMAND: OnDemandStatus.ACTIVE, THROUGHPUT: ThroughputStatus.IN_SERVICE}
WAITING = (CREATING, UPDATING)
"In these, a deployment waits for an engine that serves the model asked for."


def _lifecycle(creating: Any, serving: Any, updating: Any, failed: Any) -> Lifecycle[Any]:
    return Lifecycle(
        {
            creating: {serving, failed},
            serving: {updating, failed},
            updating: {serving, failed},
            failed: {creating},  # asked for again, with the same model or another
        }
    )


LIFECYCLES = {ON_DEMAND: _lifecycle(*OnDemandStatus), THROUGHPUT: _lifecycle(*ThroughputStatus)}
_STATES: dict[str, type[StrEnum]] = {ON_DEMAND: OnDemandStatus, THROUGHPUT: ThroughputStatus}


def status_of(row: Resource) -> StrEnum:
    """Raises Damaged for a state that its kind does not have."""
    with understood(row.arn):
        return _STATES[row.kind](row.status)


def check(row: Resource, then: str) -> None:
    """Raises Conflict for a transition that the row's kind does not know. To stay as it is, is none."""
    now = status_of(row)
    if now != then:
        LIFECYCLES[row.kind].check(row.arn, now, _STATES[row.kind](then))
