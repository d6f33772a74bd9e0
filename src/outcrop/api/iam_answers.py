"""What IAM's answers have in common: pages by marker, documents percent-encoded, tags as lists of pairs."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote

from outcrop.access import refusals
from outcrop.api.call import Call
from outcrop.errors import ServiceRefusal

DEFAULT_MAX_ITEMS = 100
T = TypeVar("T")


def page(
    call: Call, member: str, items: Iterable[T], *, key: Callable[[T], str], shape: Callable[[T], Any]
) -> dict[str, Any]:
    """One page of a listing: it begins behind the last key of the page before, so it stands when rows come and go."""
    after = _read_marker(call.params.get("Marker"))
    rest = sorted((item for item in items if after is None or key(item) > after), key=key)
    shown = rest[: call.params.get("MaxItems", DEFAULT_MAX_ITEMS)]
    answer: dict[str, Any] = {member: [shape(item) for item in shown], "IsTruncated": len(rest) > len(shown)}
    if answer["IsTruncated"]:
        answer["Marker"] = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return answer


def encoded(document: str) -> str:
    """A policy document as IAM answers it: percent-encoded after RFC 3986."""
    return quote(document, safe="-_.~")


def tags_of(call: Call) -> dict[str, str]:
    """The tags of a request. Raises InvalidInput for a key given twice."""
    pairs = call.params.get("Tags") or []
    tags = {pair["Key"]: pair["Value"] for pair in pairs}
    if len({key.lower() for key in tags}) < len(pairs):
        raise refusals.invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return tags


def tag_list(tags: dict[str, str]) -> list[dict[str, str]] | None:
    return [{"Key": key, "Value": value} for key, value in tags.items()] or None


def refuse_boundary(call: Call) -> None:
    # Taking one in and not keeping to it would allow more than was asked for.
    if call.params.get("PermissionsBoundary"):
        raise refusals.invalid_input(
            "PermissionsBoundary is not built in Outcrop yet. Leave it out, and deny in a policy what must not happen."
        )


def _read_marker(marker: str | None) -> str | None:
    if marker is None:
        return None
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except (binascii.Error, ValueError) as error:
        sentence = "Marker: not a marker of this listing. Begin again without Marker."
        raise ServiceRefusal("ValidationError", sentence, http_status=400) from error
