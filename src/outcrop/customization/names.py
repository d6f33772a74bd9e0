"""Names of custom models: each is given once, and one that a running job promised is given already."""

from outcrop.customization.kind import KIND
from outcrop.customization.rooms import Rooms
from outcrop.customization.states import LIFECYCLE
from outcrop.errors import Invalid


def check_model_name(house: Rooms, name: str, region: str) -> None:
    """Raises Invalid for a name that is taken."""
    if house.models.look(region, name) is not None or _is_promised(house, name, region):
        raise Invalid(f"The provided custom model name {name} is currently in use. Choose another name.")


def _is_promised(house: Rooms, name: str, region: str) -> bool:
    """Whether a job that still runs will leave a model of this name."""
    promising = house.store.references.naming(KIND.name, ["outputModelName"], name, states=LIFECYCLE.running)
    return any(row.region == region for row in promising)
