"""Names of custom models: each is given once, and one that a running job promised is given already."""

from outcrop.customization.rooms import Rooms
from outcrop.errors import Invalid
from outcrop.jobs import jobs
from outcrop.jobs.states import RUNNING


def check_model_name(house: Rooms, name: str, region: str) -> None:
    """Raises Invalid for a name that is taken."""
    if house.models.look(region, name) is not None or _is_promised(house, name, region):
        raise Invalid(f"The provided custom model name {name} is currently in use. Choose another name.")


def _is_promised(house: Rooms, name: str, region: str) -> bool:
    """Whether a job that still runs will leave a model of this name."""
    running = (row for row in house.store.resources.all(jobs.KIND) if row.status in RUNNING and row.region == region)
    return any(row.document.get("outputModelName") == name for row in running)
