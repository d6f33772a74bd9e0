"""A page of a bucket's listing: keys in UTF-8 byte order, groups under a delimiter folded into one.

A page knows where the next one begins: a byte string that no listed key or folded group comes after. Rows added or
removed between two pages therefore neither repeat nor hide another key. Fetching is passed in; nothing here knows SQL.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from outcrop.buckets.records import ObjectRecord

MAX_KEYS = 1000
_FOLDING_BATCH = 64

Fetch = Callable[[bytes, bytes | None, int], list[ObjectRecord]]
"""(start, end, limit) -> the first `limit` objects with start <= key < end, in order."""


@dataclass(frozen=True, kw_only=True)
class ListingRequest:
    """The keys that a listing is to show. `start` is the least key, inclusive."""

    prefix: str = ""
    delimiter: str = ""
    start: bytes = b""
    max_keys: int = MAX_KEYS


@dataclass(kw_only=True)
class Listing:
    """Objects and folded prefixes of one page. `next_start` is None at the end."""

    objects: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_start: bytes | None = None
    last: str = ""
    "The last key or prefix of the page."

    @property
    def count(self) -> int:
        return len(self.objects) + len(self.prefixes)


def list_page(fetch: Fetch, asked: ListingRequest) -> Listing:
    """The page that begins at `asked.start`."""
    page = Listing()
    if asked.max_keys == 0:
        return page
    end = after_group(asked.prefix.encode()) if asked.prefix else None
    start = max(asked.start, asked.prefix.encode())
    while True:
        # A folded group is left by seeking behind it, so with a delimiter few rows are fetched at a time.
        limit = asked.max_keys - page.count + 1
        if asked.delimiter:
            limit = min(limit, _FOLDING_BATCH)
        batch = fetch(start, end, limit)
        for found in batch:
            if found.key.encode() < start:
                continue  # in the group that was just folded
            if page.count == asked.max_keys:
                page.next_start = start
                return page
            start = _add(page, found, asked)
        if len(batch) < limit:
            return page


def after_key(key: str) -> bytes:
    """The least byte string behind this key."""
    return key.encode() + b"\0"


def after_group(prefix: bytes) -> bytes:
    """The least byte string behind every key that begins with `prefix`; UTF-8 has no byte 255, so there is one."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def after_marker(marker: str, prefix: str, delimiter: str) -> bytes:
    """The place where the first version of the listing goes on after a marker.

    A marker inside a group, or naming it, skips the whole group.
    """
    group = group_of(marker, prefix, delimiter)
    return after_key(marker) if group is None else after_group(group.encode())


def group_of(key: str, prefix: str, delimiter: str) -> str | None:
    """The common prefix under which `key` is folded, or None when it stands for itself."""
    if not delimiter or not key.startswith(prefix):
        return None
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else None


def _add(page: Listing, found: ObjectRecord, asked: ListingRequest) -> bytes:
    """Put it on the page; returns where to look on."""
    group = group_of(found.key, asked.prefix, asked.delimiter)
    if group is None:
        page.objects.append(found)
        page.last = found.key
        return after_key(found.key)
    page.prefixes.append(group)
    page.last = group
    return after_group(group.encode())
