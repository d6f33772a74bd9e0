"""Pages of SageMaker's List operations, whose members all have the same names."""

from collections.abc import Callable, Mapping
from typing import Any

from outcrop.api.bedrock.listing import summaries
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.house import House
from outcrop.store.listing import Filters, SortKey
from outcrop.store.resources import Resource

_SORTED_BY: dict[str, SortKey] = {"CreationTime": "created", "Name": "name", "Status": "status"}
_DEFAULT_RESULTS = 10


def _filters(params: Mapping[str, Any], **equals: str | None) -> Filters:
    """The filters that a List request asks for, with members of documents that are to have a value."""
    return Filters(
        name_contains=params.get("NameContains"),
        statuses=(params["StatusEquals"],) if "StatusEquals" in params else (),
        created_after=params.get("CreationTimeAfter"),
        created_before=params.get("CreationTimeBefore"),
        updated_after=params.get("LastModifiedTimeAfter"),
        updated_before=params.get("LastModifiedTimeBefore"),
        equals={name: value for name, value in equals.items() if value is not None},
    )


def page(
    house: House,
    call: Call,
    kind: str,
    members: Callable[[Resource], dict[str, Any]],
    *,
    into: str,
    equals: Mapping[str, str | None] = {},
    sort_by: str = "CreationTime",
    sort_order: str = "Descending",
) -> dict[str, Any]:
    """A page of the resources of a kind, as the answer's member `into` holds it.

    `equals` maps document keys to wanted values; None is not asked for. `sort_by` and `sort_order` hold for a request
    that says nothing.
    """
    params = call.params
    found = house.store.resources.list(
        kind,
        call.region,
        filters=_filters(params, **equals),
        sort_by=_SORTED_BY[params.get("SortBy", sort_by)],
        descending=params.get("SortOrder", sort_order) == "Descending",
        max_results=params.get("MaxResults", _DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    return {
        into: summaries(found, members),
        "NextToken": found.next_token and page_tokens.write(call, found.next_token),
    }
