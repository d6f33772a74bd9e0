"""States of an endpoint in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class EndpointStatus(StrEnum):
    """The state of an endpoint."""

    CREATING = "Creating"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    FAILED = "Failed"


class ChangeStatus(StrEnum):
    """The state of the work on one change of an endpoint, which is a job nobody sees."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


IN_CHANGE = (EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK)
_CHANGES_END = {ChangeStatus.STOPPED, ChangeStatus.COMPLETED, ChangeStatus.FAILED}
CHANGES = Lifecycle(
    {
        ChangeStatus.IN_PROGRESS: {ChangeStatus.STOPPING} | _CHANGES_END,
        ChangeStatus.STOPPING: _CHANGES_END,
        **{end: set() for end in _CHANGES_END},
    }
)
LIFECYCLE = Lifecycle(
    {
        EndpointStatus.CREATING: {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED},
        EndpointStatus.IN_SERVICE: {EndpointStatus.UPDATING},
        EndpointStatus.UPDATING: {EndpointStatus.IN_SERVICE, EndpointStatus.ROLLING_BACK},
        EndpointStatus.ROLLING_BACK: {EndpointStatus.IN_SERVICE},
        EndpointStatus.FAILED: set(),
    }
)
