"""What List operations of Bedrock have in common: the request's filters and paging, as the store understands them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outcrop.store.resources import Filters, Page, Resources

_DEFAULT_RESULTS = 100


def page(
    resources: Resources,
    kind: str,
    region: str,
    params: Mapping[str, Any],
    *,
    after: str = "creationTimeAfter",
    before: str = "creationTimeBefore",
    status: str = "statusEquals",
    equals: Mapping[str, str | None] | None = None,
) -> Page:
    """One page, newest first unless the request says Ascending. `equals` maps document keys to wanted values."""
    wanted = {key: value for key, value in (equals or {}).items() if value is not None}
    return resources.list(
        kind,
        region,
        filters=Filters(
            name_contains=params.get("nameContains"),
            status=params.get(status),
            created_after=params.get(after),
            created_before=params.get(before),
            equals=wanted,
        ),
        descending=params.get("sortOrder", "Descending") == "Descending",
        max_results=params.get("maxResults", _DEFAULT_RESULTS),
        token=params.get("nextToken"),
    )


def moment(text: str | None) -> datetime | None:
    """A time as documents keep it."""
    return None if text is None else datetime.fromisoformat(text)


def tags_of(given: list[Mapping[str, str]] | None) -> dict[str, str]:
    """Bedrock's list of key and value as a mapping."""
    return {tag["key"]: tag["value"] for tag in given or []}
