"""Lifecycle rules applied: what has expired goes, a page at a time, once a day for each bucket.

Days end at midnight UTC, so nothing more expires until the next one, unless somebody changes the rules; then the bucket
is looked through anew. Everything is looked at once more within the transaction that removes it: a page that was read
a moment ago, by another process perhaps, decides nothing. A pass that is killed begins again with the next start.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy.engine import Connection

from outcrop.buckets import records, settings_records, sweeping, version_records, versions
from outcrop.buckets.lifecycle import LifecycleRule, expiry_of, rules_in_force
from outcrop.buckets.names import Place
from outcrop.buckets.records import ObjectRecord, UploadRecord
from outcrop.buckets.sweeping import Swept
from outcrop.buckets.version_records import VersionPlace, VersionRecord
from outcrop.clock import Clock
from outcrop.loops import contained
from outcrop.store.database import alone, reading, writing
from outcrop.store.store import Store

_log = logging.getLogger("outcrop.buckets")

PAGE = 500
"Versions that are read at once."
BATCH = 100
"Removals of one transaction: a put waits for one of them at most."


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A version as a pass comes by it."""

    version: VersionRecord
    since: datetime
    "When the next newer one followed it; of the latest, when it was written."
    newer: int
    "How many versions stand between it and the latest."
    is_alone: bool
    "Whether no other version of its key is there."


class _DonePass(NamedTuple):
    day: date
    rules: str


class Expirations:
    """The passes of one process. `turn` does a page of work; whoever calls it goes on while more is due."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._done: dict[str, _DonePass] = {}
        self._work: Iterator[int] | None = None

    def turn(self) -> Swept:
        """Remove some of what has expired. Cheap where nothing has, or no bucket has rules."""
        if self._work is None:
            self._work = self._all()
        removed = next(self._work, None)
        if removed is None:
            self._work = None
            return Swept(removed=0, more_due=False)
        return Swept(removed=removed, more_due=True)

    def _all(self) -> Iterator[int]:
        with reading(self._store.engine) as connection:
            found = settings_records.buckets_with(connection, settings_records.LIFECYCLE)
        self._done = {bucket: done for bucket, done in self._done.items() if bucket in found}
        for bucket, document in found.items():
            this = _DonePass(self._clock.now().date(), repr(document))
            if self._done.get(bucket) == this:
                continue
            with contained(_log, f"expiry in the bucket {bucket}") as outcome:
                yield from self._of_bucket(bucket, rules_in_force(document["Rules"]))
            if outcome.error is None:
                self._done[bucket] = this

    def _of_bucket(self, bucket: str, rules: list[LifecycleRule]) -> Iterator[int]:
        if any(rule.upload_days is not None for rule in rules):
            yield self._uploads(bucket, rules)
        due: list[_Seen] = []
        for seen in self._seen(bucket):
            if seen is None:  # the end of a page
                yield 0
            elif _is_due(seen, rules, self._clock.now()):
                due.append(seen)
                if len(due) == BATCH:
                    yield self._remove(bucket, due)
                    due = []
        if due:
            yield self._remove(bucket, due)

    def _seen(self, bucket: str) -> Iterator[_Seen | None]:
        """Every version in the bucket, and None after each page."""
        before: VersionRecord | None = None
        held: _Seen | None = None
        number, place = 0, VersionPlace(b"")
        while True:
            with reading(self._store.engine) as connection:
                page = version_records.versions_from(connection, bucket, place, None, PAGE)
            for version in page:
                follows = before is not None and before.object.key == version.object.key
                number = number + 1 if follows else 0
                since = before.object.modified if follows and before is not None else version.object.modified
                if held is not None:
                    yield replace(held, is_alone=held.newer == 0 and held.version.is_latest and not follows)
                held = _Seen(version=version, since=since, newer=max(number - 1, 0), is_alone=False)
                before = version
            if len(page) < PAGE:
                break
            place = VersionPlace(page[-1].object.key.encode(), page[-1].rank, with_object=False)
            yield None
        if held is not None:
            yield replace(held, is_alone=held.version.is_latest)

    def _remove(self, bucket: str, due: list[_Seen]) -> int:
        """Remove what is still as it was seen; the number of those that were."""
        removed = 0
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            found = records.bucket_named(connection, bucket)
            if found is None:
                return 0
            for seen in due:
                removed += _remove_one(connection, found, seen, at=self._clock.now())
        return removed

    def _uploads(self, bucket: str, rules: list[LifecycleRule]) -> int:
        now = self._clock.now()
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            due = [each for each in records.uploads_of(connection, bucket) if _is_upload_due(each, rules, now)]
            for upload in due[:BATCH]:
                records.remove_upload(connection, upload.id, at=now)
        return len(due[:BATCH])


def _remove_one(connection: Connection, bucket: records.BucketRecord, seen: _Seen, *, at: datetime) -> bool:
    place = Place(bucket.name, seen.version.object.key)
    latest = versions.latest_of(connection, place)
    if latest is None:
        return False
    if seen.version.is_latest:
        is_same = latest.version == seen.version.version and _is_as_it_was(latest.object, seen.version.object)
        if not is_same or (seen.version.is_marker and not _is_alone(connection, place, latest)):
            return False
        if seen.version.is_marker:
            versions.remove_version(connection, bucket, place, latest.version, at=at)
        else:
            versions.remove(connection, bucket, place, at=at)
        return True
    older = version_records.version_named(connection, *place, seen.version.version)
    if older is None or older.version == latest.version or not _is_as_it_was(older.object, seen.version.object):
        return False
    version_records.remove_version(connection, older, at=at)
    return True


def _is_as_it_was(now: ObjectRecord, then: ObjectRecord) -> bool:
    return (now.digest, now.modified, now.details) == (then.digest, then.modified, then.details)


def _is_alone(connection: Connection, place: Place, marker: VersionRecord) -> bool:
    behind = VersionPlace(place.key.encode(), marker.rank, with_object=False)
    found = version_records.versions_from(connection, place.bucket, behind, place.key.encode() + b"\0", 1)
    return not found


def _is_due(seen: _Seen, rules: list[LifecycleRule], now: datetime) -> bool:
    found = seen.version
    if not found.is_latest:
        moments = [rule.version_expires(found.object, since=seen.since, newer=seen.newer) for rule in rules]
    elif found.is_marker:
        moments = [rule.marker_expires(found.object) for rule in rules] if seen.is_alone else []
    else:
        expiry = expiry_of(rules, found.object)
        moments = [None if expiry is None else expiry.at]
    return any(at is not None and at <= now for at in moments)


def _is_upload_due(upload: UploadRecord, rules: list[LifecycleRule], now: datetime) -> bool:
    return any((at := rule.upload_expires(upload)) is not None and at <= now for rule in rules)
