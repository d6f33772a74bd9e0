"""Pages of OpenAI's lists: `limit` things behind the one that `after` names."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from outcrop.api.openai import refusals
from outcrop.house import House
from outcrop.store.resources import Resource

_AT_ONCE = 200
"Rows read from the store at once."


def page(things: Iterable[Mapping[str, Any]], query: Mapping[str, str], *, usual: int, most: int) -> dict[str, Any]:
    """A page of things in their order. Refuses a limit that is none, and an `after` that names none of them."""
    left, after = iter(things), query.get("after")
    limit = limit_of(query, usual=usual, most=most)
    if after and not any(thing["id"] == after for thing in left):
        raise refusals.invalid("after", f"{after} is not in this list. Send the last id of the page before.")
    found = list(islice(left, limit + 1))
    data = found[:limit]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, "has_more": len(found) > limit, **ends}


def limit_of(query: Mapping[str, str], *, usual: int, most: int) -> int:
    """How many things a page has."""
    text = query.get("limit", str(usual))
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= most:
        raise refusals.invalid("limit", f"{text[:20]} is not between 1 and {most}.")
    return int(text)


def is_descending(query: Mapping[str, str]) -> bool:
    """Whether the newest come first, as they do where nothing is said."""
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise refusals.invalid("order", f"{order[:20]} is neither asc nor desc.")
    return order == "desc"


def rows(
    house: House,
    kind: str,
    region: str,
    *,
    descending: bool,
    wanted: Callable[[Resource], bool] = lambda _row: True,
) -> Iterable[Resource]:
    """The resources of a kind by their times, read from the store as far as somebody looks."""
    token = None
    while True:
        found = house.store.resources.list(kind, region, descending=descending, max_results=_AT_ONCE, token=token)
        yield from (row for row in found.items if wanted(row))
        token = found.next_token
        if token is None:
            return
