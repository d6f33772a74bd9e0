"""Pages of lists that are made anew for each request: hubs, their contents, and the versions of these."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.errors import Invalid

_DEFAULT_RESULTS = 100
_LISTED = TypeVar("_LISTED")


class ListingPlace(NamedTuple):
    """Where something stands in a list: what the list is sorted by, and its name among equals."""

    key: str
    name: str


def page(
    call: Call, found: Iterable[_LISTED], place: Callable[[_LISTED], ListingPlace], *, descending: bool
) -> tuple[list[_LISTED], str | None]:
    """The page that the call asks for, and the token behind it. What comes and goes between two moves nothing else.

    Raises Invalid for a token of another query.
    """
    ordered = sorted(found, key=place, reverse=descending)
    token = page_tokens.read(call)
    if token is not None:
        last = _place(token)
        ordered = [each for each in ordered if (place(each) < last if descending else place(each) > last)]
    most = call.params.get("MaxResults", _DEFAULT_RESULTS)
    shown = ordered[:most]
    more = len(ordered) > most
    return shown, page_tokens.write(call, json.dumps(place(shown[-1]))) if more else None


def _place(token: str) -> ListingPlace:
    """Raises Invalid."""
    try:
        key, name = map(str, json.loads(token))
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid("NextToken: not a token of this query. Begin again without NextToken.") from error
    return ListingPlace(key, name)


def is_within(moment: datetime, call: Call, *, after: str, before: str) -> bool:
    """Whether a time lies between those of two members of the request, where they are given."""
    earliest, latest = call.params.get(after), call.params.get(before)
    return (earliest is None or moment > earliest) and (latest is None or moment < latest)


def is_named(name: str, call: Call) -> bool:
    """Whether a name contains what the request asks for, whatever the case of its letters."""
    return str(call.params.get("NameContains", "")).lower() in name.lower()
