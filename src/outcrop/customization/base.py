"""What a job starts from: a foundation model, or a custom model that is trained further."""

from dataclasses import dataclass, replace

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.errors import Invalid
from outcrop.network.method import Method, method_of
from outcrop.probe import launch
from outcrop.store.resources import Resource


@dataclass(frozen=True, kw_only=True)
class Start:
    """The network below, and the custom model in between when there is one."""

    base: BaseModel
    "With the weights the custom model runs on, where it has its own."
    parent: Resource | None
    method: Method | None
    "How the custom model was trained."


def tried(catalog: Catalog, start: Start) -> Start:
    """With a verdict on the network below, which is tried now if it never was. Raises Invalid, MachineTrouble."""
    base = start.base
    if base.way is not None:
        return start
    assert base.folder is not None
    verdict = launch.demand(base.folder).verdict
    if base.owner is None:
        catalog.record(base, verdict)
    return replace(start, base=replace(base, verdict=verdict))


def resolve(catalog: Catalog, models: CustomModels, *, identifier: str, base: object, parent: Resource | None) -> Start:
    """The start that `identifier` was found to name: the catalogue's `base`, or the custom model `parent`.

    Raises Invalid.
    """
    if parent is None:
        if ":custom-model/" in identifier:
            raise Invalid(f"The provided model identifier is invalid. (There is no custom model {identifier}.)")
        return Start(base=catalog.with_weights(base, identifier), parent=None, method=None)
    below = models.network_below(catalog.usable(parent.document["baseId"]), parent.arn)
    return Start(base=below, parent=parent, method=method_of(models.folder(parent.arn)))


def of_job(catalog: Catalog, models: CustomModels, job: Resource) -> Start:
    """What a job on record starts from. Raises Invalid."""
    parent_arn, base_id = job.document["parentArn"], job.document["baseId"]
    parent = None if parent_arn is None else models.look(job.region, parent_arn)
    base = None if parent_arn else catalog.find(base_id)
    return resolve(catalog, models, identifier=parent_arn or base_id, base=base, parent=parent)
