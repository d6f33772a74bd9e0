"""Application Auto Scaling: the members that most requests have in common, and the pages of its listings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.errors import Invalid, ServiceRefusal
from outcrop.scaling import target_id
from outcrop.scaling.target_id import NAMESPACE, TargetId

MOST_RESULTS = 50
BOUNDS = {"MinCapacity": "least", "MaxCapacity": "most"}
"Members for the bounds of a capacity, and what they are called inside."
_Listed = TypeVar("_Listed")


def target_of(call: Call) -> TargetId:
    """The target that a request names. Raises Invalid, by name for other namespaces."""
    check_namespace(call.params)
    return target_id.read(call.params["ResourceId"], call.params["ScalableDimension"])


def shown_target(target: TargetId) -> dict[str, str]:
    """The members that name a target in an answer."""
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource_id,
        "ScalableDimension": str(target.dimension),
    }


def bounds_of(given: Mapping[str, Any]) -> dict[str, int]:
    """The bounds that are given."""
    return {inside: given[member] for member, inside in BOUNDS.items() if member in given}


def check_namespace(params: Mapping[str, Any]) -> None:
    """Raises Invalid for a namespace whose resources are not here."""
    given = params["ServiceNamespace"]
    if given != NAMESPACE:
        raise Invalid(f"ServiceNamespace: {given} is not built in Outcrop. What is scaled here is {NAMESPACE}.")


def check_filters(params: Mapping[str, Any], member: str = "ResourceId") -> None:
    """Raises Invalid for a dimension without a resource, as AWS does."""
    check_namespace(params)
    if "ScalableDimension" in params and not params.get(member):
        raise Invalid(f"ScalableDimension: goes with {member}. You must specify a resource ID as well.")


def is_wanted(target: TargetId, params: Mapping[str, Any]) -> bool:
    """Whether a target is what ResourceId and ScalableDimension name, as far as they are given."""
    return params.get("ResourceId") in (None, target.resource_id) and params.get("ScalableDimension") in (
        None,
        target.dimension,
    )


def most_of(params: Mapping[str, Any]) -> int:
    """The size of a page. Raises Invalid."""
    most: int = params.get("MaxResults", MOST_RESULTS)
    if not 1 <= most <= MOST_RESULTS:
        raise Invalid(f"MaxResults: {most} is out of range. Choose 1 to {MOST_RESULTS}.")
    return most


def place_of(call: Call) -> str | None:
    """The place in the request's token. Raises InvalidNextTokenException for one of another query."""
    try:
        return page_tokens.read(call)
    except Invalid as error:
        raise ServiceRefusal("InvalidNextTokenException", error.message, http_status=400) from error


def paged(
    call: Call, member: str, rows: Sequence[_Listed], key: Callable[[_Listed], str], show: Callable[[_Listed], Any]
) -> dict[str, Any]:
    """A page of rows, which are in the order of their keys."""
    most, place = most_of(call.params), place_of(call)
    behind = [row for row in rows if place is None or key(row) > place]
    token = page_tokens.write(call, key(behind[most - 1])) if len(behind) > most else None
    return {member: [show(row) for row in behind[:most]], "NextToken": token}
