"""The model that a job starts from: a foundation model, or a custom model that is trained further."""

from dataclasses import dataclass, replace

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels, check_active
from outcrop.errors import Invalid
from outcrop.network.adapters.method import Method, method_of
from outcrop.network.run_mode import ProbeVerdict
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
    """The start with a verdict on the network below, which is tried now if it never was.

    Raises Invalid, MachineTrouble.
    """
    base = start.base
    if base.way is not None:
        return start
    assert base.folder is not None
    verdict = launch.demand(base.folder).verdict
    if base.owner is None:
        catalog.record(base, verdict)
    else:
        _check_way(catalog.usable(base.id), verdict)
    return replace(start, base=replace(base, verdict=verdict))


def _check_way(foundation: BaseModel, own: ProbeVerdict) -> None:
    """A custom model's own network is served as its foundation model's is: it must be run like that. Raises Invalid."""
    if foundation.way is not None and own.way is not foundation.way:
        raise Invalid(
            f"hyperParameters.outcrop.width: a network of these sizes would be run {own.way}, and that of "
            f"{foundation.id} is run {foundation.way}. Leave outcrop.width and outcrop.layers out, or choose others."
        )


def resolve(catalog: Catalog, models: CustomModels, *, identifier: str, base: object, parent: Resource | None) -> Start:
    """The start that `identifier` was found to name: the catalogue's `base`, or the custom model `parent`.

    Raises Invalid.
    """
    if parent is None:
        if ":custom-model/" in identifier:
            raise Invalid(f"The provided model identifier is invalid. (There is no custom model {identifier}.)")
        return Start(base=catalog.with_weights(base, identifier), parent=None, method=None)
    return _on(catalog, models, parent)


def of_job(catalog: Catalog, models: CustomModels, job: Resource) -> Start:
    """The start that a job on record was created with. Raises Invalid where it is gone."""
    base_id, parent_arn = job.document["baseId"], job.document["parentArn"]
    if parent_arn is None:
        return Start(base=catalog.usable(base_id), parent=None, method=None)
    parent = models.look(job.region, parent_arn)
    if parent is None:
        raise Invalid(f"The provided model identifier is invalid. (There is no custom model {parent_arn} any more.)")
    return _on(catalog, models, parent)


def _on(catalog: Catalog, models: CustomModels, parent: Resource) -> Start:
    check_active(parent)
    below = models.network_below(catalog.usable(parent.document["baseId"]), parent.arn)
    return Start(base=below, parent=parent, method=method_of(models.folder(parent.arn)))
