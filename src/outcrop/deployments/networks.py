"""The networks below the deployed models, and the engines that these networks need."""

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.deployments.records import model_arns
from outcrop.deployments.states import SERVING, THROUGHPUT, WAITING
from outcrop.errors import Refusal
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource, Resources

_PAID = (*WAITING, SERVING[THROUGHPUT])


def network_of(catalog: Catalog, models: CustomModels, region: str, model_arn: str) -> BaseModel:
    """The network below a model. Raises Refusal, Damaged."""
    custom = models.look(region, model_arn)
    if custom is None:
        return catalog.usable(model_arn)
    with understood(custom.arn):
        return models.network_below(catalog.usable(custom.document["baseId"]), custom.arn)


def provisioned_engines(resources: Resources, catalog: Catalog, models: CustomModels) -> set[str]:
    """Names of the engines that provisioned throughput needs: their memory is bought."""
    return {name for row in resources.in_states(THROUGHPUT, _PAID) for name in _engines_of(row, catalog, models)}


def _engines_of(row: Resource, catalog: Catalog, models: CustomModels) -> set[str]:
    try:
        return {network_of(catalog, models, row.region, model_arn).engine for model_arn in model_arns(row)}
    except (Refusal, Damaged):
        return set()  # whoever asks for this model is told; it needs no engine
