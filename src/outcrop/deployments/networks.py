"""The networks below the deployed models, and the engines that these networks need."""

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import CustomModels
from outcrop.deployments.precision import precision_of
from outcrop.deployments.records import model_arns
from outcrop.deployments.states import SERVING, THROUGHPUT, WAITING
from outcrop.errors import Refusal
from outcrop.network.weight_precision import WeightPrecision
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource, Resources

_PAID = (*WAITING, SERVING[THROUGHPUT])


def network_of(
    catalog: Catalog,
    models: CustomModels,
    region: str,
    model_arn: str,
    precision: WeightPrecision = WeightPrecision.FP32,
) -> BaseModel:
    """The network below a model, with weights in these numbers. Raises Refusal, Damaged."""
    custom = models.look(region, model_arn)
    if custom is None:
        return catalog.usable(model_arn).in_precision(precision)
    with understood(custom.arn):
        base = catalog.usable(custom.document["baseId"]).in_precision(precision)
        return models.network_below(base, custom.arn)


def provisioned_engines(resources: Resources, catalog: Catalog, models: CustomModels) -> set[str]:
    """Names of the engines that provisioned throughput needs: their memory is bought."""
    return {name for row in resources.in_states(THROUGHPUT, _PAID) for name in _engines_of(row, catalog, models)}


def _engines_of(row: Resource, catalog: Catalog, models: CustomModels) -> set[str]:
    try:
        precision = precision_of(row)
        return {network_of(catalog, models, row.region, each, precision).engine for each in model_arns(row)}
    except (Refusal, Damaged):
        return set()  # whoever asks for this model is told; it needs no engine
