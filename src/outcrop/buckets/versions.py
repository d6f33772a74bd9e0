"""Versions of objects: what a write or a deletion makes of those that are there, as S3 does.

| the bucket | a write | a deletion |
|---|---|---|
| never kept versions | replaces the object | removes it |
| keeps them (Enabled) | moves the object behind a new one | moves it behind a delete marker |
| keeps them no more (Suspended) | replaces the version `null` | a marker replaces the version `null` |

A deletion that names a version removes that one for good, wherever it stands.

Everything here is part of a transaction that its caller has open: who reads sees all of a change or nothing.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection

from outcrop.buckets import records, refusals, version_records
from outcrop.buckets.names import Place
from outcrop.buckets.records import BucketRecord, Details, ObjectRecord
from outcrop.buckets.version_ids import NULL_VERSION, draw_version_id, number_in
from outcrop.buckets.version_records import VersionRecord

ENABLED, SUSPENDED = "Enabled", "Suspended"


@dataclass(frozen=True, kw_only=True)
class Removed:
    """The version that a deletion removed or made."""

    version: str | None = None
    "None where the bucket never kept versions."
    is_marker: bool = False
    "Whether it is, or was, a delete marker."


NOTHING_TOLD = Removed()


def told_version(record: ObjectRecord) -> str | None:
    """The version as answers tell it: nothing where none were ever kept."""
    return None if record.versioning is None else record.version or NULL_VERSION


def find(connection: Connection, place: Place, version: str) -> ObjectRecord:
    """The version of an object. Raises NoSuchVersion, and MethodNotAllowed for a delete marker."""
    current = records.object_at(connection, *place)
    if current is not None and (current.version or NULL_VERSION) == version:
        return current
    found = version_records.version_named(connection, *place, version)
    if found is None:
        raise refusals.no_such_version(place.key, version)
    if found.is_marker:
        raise refusals.delete_marker(version, found.object.modified)
    bucket = records.bucket_named(connection, place.bucket)
    return replace(found.object, versioning=None if bucket is None else bucket.versioning)


def missing(connection: Connection, place: Place) -> Exception:
    """The refusal of a key without an object, which tells of the delete marker that stands there."""
    marker = version_records.newest(connection, *place)
    return refusals.no_such_key(place.key, marker=None if marker is None else marker.version)


def put(
    connection: Connection, bucket: BucketRecord, record: ObjectRecord, *, replaces: ObjectRecord | None
) -> ObjectRecord:
    """Write the object, as the newest version of its key; `replaces` is the object that is there."""
    if bucket.versioning is None:
        records.put_object(connection, record, replaces=replaces)
        return record
    record = replace(record, versioning=bucket.versioning)
    number = _step_back(connection, bucket, record.bucket, record.key, replaces, at=record.modified)
    if bucket.versioning == ENABLED:
        record = replace(record, version=draw_version_id(number))
    records.put_object(connection, record, replaces=None)
    return record


def remove(connection: Connection, bucket: BucketRecord, place: Place, *, at: datetime) -> Removed:
    """Delete the object of a key, or put a delete marker before it."""
    if bucket.versioning is None:
        records.remove_object(connection, *place, at=at)
        return NOTHING_TOLD
    number = _step_back(connection, bucket, *place, records.object_at(connection, *place), at=at)
    version = draw_version_id(number) if bucket.versioning == ENABLED else None
    marker = ObjectRecord(
        bucket=place.bucket, key=place.key, digest="", size=0, etag="", modified=at, details=Details(), version=version
    )
    version_records.add_version(connection, marker, rank=-number, is_marker=True)
    return Removed(version=version or NULL_VERSION, is_marker=True)


def remove_version(
    connection: Connection, bucket: BucketRecord, place: Place, version: str, *, at: datetime
) -> Removed:
    """Remove a version for good; the one behind it is the newest then. One that is not there is removed already."""
    told = None if bucket.versioning is None else version
    current = records.object_at(connection, *place)
    if current is not None and (current.version or NULL_VERSION) == version:
        records.remove_object(connection, *place, at=at)
        _bring_forward(connection, place)
        return Removed(version=told)
    found = version_records.version_named(connection, *place, version)
    if found is None:
        return Removed(version=told)
    version_records.remove_version(connection, found, at=at)
    if current is None:
        _bring_forward(connection, place)
    return Removed(version=told, is_marker=found.is_marker)


def tagged(connection: Connection, place: Place, version: str | None, *, method: str) -> VersionRecord:
    """The version whose tags are asked for or changed. Raises NoSuchKey, NoSuchVersion, MethodNotAllowed for a
    marker."""
    latest = latest_of(connection, place)
    if latest is not None and version in (None, latest.version):
        found: VersionRecord | None = latest
    else:
        found = None if version is None else version_records.version_named(connection, *place, version)
    if found is None:
        raise refusals.no_such_key(place.key) if version is None else refusals.no_such_version(place.key, version)
    if found.is_marker:
        raise refusals.delete_marker(found.version, found.object.modified, method)
    return found


def change_tags(
    connection: Connection, place: Place, version: str | None, tags: dict[str, str], *, method: str
) -> VersionRecord:
    """Give a version these tags in place of its own; raises as `tagged`."""
    found = tagged(connection, place, version, method=method)
    details = replace(found.object.details, tags=tags)
    if found.rank is None:
        records.change_details(connection, found.object, details)
    else:
        version_records.change_details_of_version(connection, found, details)
    return found


def latest_of(connection: Connection, place: Place) -> VersionRecord | None:
    """The latest version of a key, or the delete marker that stands before all others."""
    current = records.object_at(connection, *place)
    if current is None:
        return version_records.newest(connection, *place)
    return VersionRecord(object=current, version=current.version or NULL_VERSION, rank=None, is_latest=True)


def _step_back(
    connection: Connection, bucket: BucketRecord, of: str, key: str, current: ObjectRecord | None, *, at: datetime
) -> int:
    """Make room for a newer version of the key; returns the number that it gets."""
    if bucket.versioning == SUSPENDED:
        null = version_records.version_named(connection, of, key, NULL_VERSION)
        if null is not None:
            version_records.remove_version(connection, null, at=at)
        if current is not None and current.version is None:
            records.remove_object(connection, of, key, at=at)
            current = None
    newest = version_records.newest(connection, of, key)
    number = 0 if newest is None or newest.rank is None else -newest.rank
    if current is None:
        return number + 1
    own = number + 1 if current.version is None else max(number + 1, number_in(current.version))
    records.take_object(connection, of, key)
    version_records.add_version(connection, current, rank=-own)
    return own + 1


def _bring_forward(connection: Connection, place: Place) -> None:
    """Make the newest version the object of its key again, unless it is a delete marker."""
    newest = version_records.newest(connection, *place)
    if newest is not None and not newest.is_marker:
        version_records.take_version(connection, newest)
        records.put_object(connection, newest.object, replaces=None)
