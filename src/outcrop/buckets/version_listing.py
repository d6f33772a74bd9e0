"""A page of a bucket's versions: by key, the newest of each first, groups under a delimiter folded into one.

It goes on behind a key and a version, wherever that version would stand: one that was removed between two pages hides
and repeats nothing. Fetching is passed in; nothing here knows SQL.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from outcrop.buckets import refusals
from outcrop.buckets.listing import Fetch, after_group, after_key, group_of
from outcrop.buckets.version_ids import NULL_VERSION, is_version_id, number_in
from outcrop.buckets.version_records import VersionPlace, VersionRecord

_FOLDING_BATCH = 64

FetchVersions = Callable[[VersionPlace, bytes | None, int], list[VersionRecord]]
"""(start, end, limit) -> the first `limit` versions from `start` on whose key is before `end`, in order."""


@dataclass(frozen=True, kw_only=True)
class VersionRequest:
    """The versions that a listing is to show, behind the version `version_marker` of `key_marker`."""

    prefix: str = ""
    delimiter: str = ""
    key_marker: str = ""
    version_marker: str = ""
    max_keys: int = 1000


@dataclass(kw_only=True)
class VersionListing:
    """Versions and folded prefixes of one page."""

    versions: list[VersionRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    is_truncated: bool = False
    last: VersionRecord | str = ""
    "The last version or prefix of the page: what the next one goes on behind."

    @property
    def count(self) -> int:
        return len(self.versions) + len(self.prefixes)


def start_of(asked: VersionRequest, behind_null: Callable[[str], VersionPlace]) -> VersionPlace:
    """Where a listing begins. Raises InvalidArgument for a version that is none, or without its key."""
    key, version = asked.key_marker, asked.version_marker
    if version and not key:
        message = "A version-id marker cannot be specified without a key marker."
        raise refusals.invalid_argument("version-id-marker", version, message)
    if version and not is_version_id(version):
        raise refusals.invalid_argument("version-id-marker", version, "Invalid version id specified")
    first = VersionPlace(asked.prefix.encode())
    if not key:
        return first
    group = group_of(key, asked.prefix, asked.delimiter)
    if group is not None:
        place = VersionPlace(after_group(group.encode()))
    elif not version:
        place = VersionPlace(after_key(key))
    elif version == NULL_VERSION:
        place = behind_null(key)
    else:
        place = VersionPlace(key.encode(), -number_in(version), with_object=False)
    return max(first, place, key=lambda each: each.key)


def list_page(fetch: FetchVersions, asked: VersionRequest, start: VersionPlace) -> VersionListing:
    """The page that begins at `start`."""
    page = VersionListing()
    if asked.max_keys == 0:
        return page
    end = after_group(asked.prefix.encode()) if asked.prefix else None
    while True:
        limit = asked.max_keys - page.count + 1
        if asked.delimiter:
            limit = min(limit, _FOLDING_BATCH)
        batch = fetch(start, end, limit)
        for found in batch:
            if found.object.key.encode() < start.key:
                continue  # in the group that was just folded
            if page.count == asked.max_keys:
                page.is_truncated = True
                return page
            start = _add(page, found, asked)
        if len(batch) < limit:
            return page


def of_objects(fetch: Fetch, asked: VersionRequest) -> VersionListing:
    """The page of a bucket that is kept elsewhere: each object is its one version, `null`."""

    def fetch_versions(start: VersionPlace, end: bytes | None, limit: int) -> list[VersionRecord]:
        least = start.key if start.with_object else start.key + b"\0"
        found = fetch(least, end, limit)
        return [VersionRecord(object=each, version=NULL_VERSION, rank=None, is_latest=True) for each in found]

    return list_page(fetch_versions, asked, start_of(asked, lambda key: VersionPlace(key.encode(), with_object=False)))


def _add(page: VersionListing, found: VersionRecord, asked: VersionRequest) -> VersionPlace:
    """Put it on the page; returns where to look on."""
    group = group_of(found.object.key, asked.prefix, asked.delimiter)
    if group is None:
        page.versions.append(found)
        page.last = found
        return VersionPlace(found.object.key.encode(), found.rank, with_object=False)
    page.prefixes.append(group)
    page.last = group
    return VersionPlace(after_group(group.encode()))
