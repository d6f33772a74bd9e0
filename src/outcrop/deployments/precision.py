"""The numbers in which a deployment's engine keeps its weights: asked for by a tag when the deployment is made.

Bedrock's operations have no member for it. A tag that is changed later says nothing more; a deployment keeps what it
was made with.
"""

from collections.abc import Mapping

from outcrop.errors import Invalid
from outcrop.network.weight_precision import WeightPrecision
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

TAG = "outcrop:weights"
_MEMBER = "weights"


def details_of(tags: Mapping[str, str]) -> dict[str, str]:
    """The members of a new deployment's document that tell it. Raises Invalid."""
    asked = tags.get(TAG, WeightPrecision.FP32)
    try:
        return {_MEMBER: WeightPrecision(asked).value}
    except ValueError as error:
        known = " or ".join(WeightPrecision)
        raise Invalid(f"tags: {TAG} is {asked!r}; it can be {known}. Without it weights stay as they are.") from error


def precision_of(row: Resource) -> WeightPrecision:
    """The numbers of a deployment's weights. Raises Damaged."""
    with understood(row.arn):
        return WeightPrecision(row.document.get(_MEMBER, WeightPrecision.FP32))  # older programs wrote none
