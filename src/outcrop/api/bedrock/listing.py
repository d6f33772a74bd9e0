"""Filters and paging that the List operations of Bedrock have in common, as the store understands them."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from outcrop import arn
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.house import House
from outcrop.loops import each
from outcrop.store.damage import understood
from outcrop.store.listing import Filters
from outcrop.store.resources import Page, Resource

_DEFAULT_RESULTS = 100
Told = TypeVar("Told")
_log = logging.getLogger("outcrop.door")


def page(
    house: House,
    call: Call,
    kind: str,
    *,
    after: str = "creationTimeAfter",
    before: str = "creationTimeBefore",
    status: str = "statusEquals",
    shown_as: Mapping[str, str] | None = None,
    equals: Mapping[str, str | None] | None = None,
) -> Page:
    """A page of resources, newest first unless the request says Ascending. Raises Invalid for a token of another query.

    `after`, `before` and `status` name the members of the request. `shown_as`: states on record that clients see as
    another one. `equals` maps document keys to wanted values; None is not asked for.
    """
    params = call.params
    found = house.store.resources.list(
        kind,
        call.region,
        filters=Filters(
            name_contains=params.get("nameContains"),
            statuses=_statuses(params.get(status), shown_as or {}),
            created_after=params.get(after),
            created_before=params.get(before),
            equals={key: value for key, value in (equals or {}).items() if value is not None},
        ),
        descending=params.get("sortOrder", "Descending") == "Descending",
        max_results=params.get("maxResults", _DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    return replace(found, next_token=found.next_token and page_tokens.write(call, found.next_token))


def told(row: Resource, members: Callable[[Resource], Told]) -> Told:
    """The members an answer gives of a row. Raises Damaged when its document is not what `members` takes it for."""
    with understood(row.arn):
        return members(row)


def summaries(found: Page, members: Callable[[Resource], dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a page. A damaged row is logged and left out: the others are listed all the same."""
    return each(found.items, lambda row: told(row, members), log=_log, name=lambda row: row.arn)


def model_arn(house: House, call: Call, member: str) -> str | None:
    """The ARN that a filter names, as documents keep it: that of a foundation model with version and context suffix.

    A client may leave these out; an ARN of another region or of a model not known here stays as it is.
    """
    given: str | None = call.params.get(member)
    parsed = arn.parse(given or "")
    foundation = house.catalog.find(given) if given and parsed and parsed.region == call.region else None
    return given if foundation is None else arn.foundation_model(call.region, foundation.full_id)


def moment(text: str | None) -> datetime | None:
    """A time as documents keep it."""
    return None if text is None else datetime.fromisoformat(text)


def _statuses(wanted: str | None, shown_as: Mapping[str, str]) -> tuple[str, ...]:
    return () if wanted is None else (wanted, *(kept for kept, shown in shown_as.items() if shown == wanted))
