"""Names of what can be scaled: variants of an endpoint by instances, inference components by copies.

A target is named by a resource id and a dimension, in the words of Application Auto Scaling. This room knows nothing of
endpoints: a target's counts are read and set through `outcrop.scaling.resources`.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from outcrop.errors import Invalid

NAMESPACE = "sagemaker"
"The one namespace whose resources are here."
_NAME = r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}"


class Dimension(StrEnum):
    """The dimensions that are scaled here."""

    INSTANCES = "sagemaker:variant:DesiredInstanceCount"
    COPIES = "sagemaker:inference-component:DesiredCopyCount"


_RESOURCES = {
    Dimension.INSTANCES: (re.compile(rf"endpoint/({_NAME})/variant/({_NAME})"), "endpoint/<name>/variant/<name>"),
    Dimension.COPIES: (re.compile(rf"inference-component/({_NAME})"), "inference-component/<name>"),
}
_DIMENSION_NAMES = {Dimension.INSTANCES: ("EndpointName", "VariantName"), Dimension.COPIES: ("InferenceComponentName",)}
_COUNTED = {Dimension.INSTANCES: "desired instance count", Dimension.COPIES: "desired copy count"}


class TargetId(NamedTuple):
    """A resource and the dimension in which it is scaled: `endpoint/e/variant/v`, by its instances."""

    resource_id: str
    dimension: Dimension

    def __str__(self) -> str:
        return f"service namespace: {NAMESPACE}, resource ID: {self.resource_id}, scalable dimension: {self.dimension}"

    @property
    def key(self) -> str:
        """A name that no other target of the region has."""
        return f"{self.dimension} {self.resource_id}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the resource id: endpoint and variant, or the inference component."""
        found = _RESOURCES[self.dimension][0].fullmatch(self.resource_id)
        assert found is not None, "a target id is made by `read`"
        return found.groups()

    @property
    def metric_dimensions(self) -> dict[str, str]:
        """The dimensions that SageMaker's own metrics about the resource have."""
        return dict(zip(_DIMENSION_NAMES[self.dimension], self.names, strict=True))

    @property
    def counted(self) -> str:
        """The count that is set, as activities call it."""
        return _COUNTED[self.dimension]


def read(resource_id: str, dimension: str) -> TargetId:
    """The target with these members of a request. Raises Invalid, by name for a dimension that is not built."""
    if dimension not in set(Dimension):
        if dimension.startswith(f"{NAMESPACE}:"):
            raise Invalid(
                f"ScalableDimension: {dimension} is not built in Outcrop yet. Known are {', '.join(Dimension)}."
            )
        raise Invalid("Unsupported service namespace, resource type or scalable dimension")
    form, shown = _RESOURCES[Dimension(dimension)]
    if form.fullmatch(resource_id) is None:
        raise Invalid(f"ResourceId: {resource_id[:200]!r} is none of {dimension}. Write {shown}.")
    return TargetId(resource_id, Dimension(dimension))
