"""States of a custom model in the words of the service model, and the kind of its rows. It imports next to nothing."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle

KIND = "custom-model"


class ModelStatus(StrEnum):
    """The state of a custom model; one that a job here has trained is Active from the beginning."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"


LIFECYCLE = Lifecycle(
    {
        ModelStatus.CREATING: {ModelStatus.ACTIVE, ModelStatus.FAILED},
        ModelStatus.ACTIVE: set(),
        ModelStatus.FAILED: set(),
    }
)
