"""The rows of versions that are not an object's current bytes: older ones, and delete markers.

The current bytes of a key stand among the objects, where everybody looks for them. Here stand the versions behind it,
newest first; where the newest of a key is a delete marker, the key has no row among the objects. So a version in this
table is older than the object of its key, and the first row of a key without an object is a delete marker.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from outcrop.buckets.content_records import note_unwanted, schema
from outcrop.buckets.records import Details, ObjectRecord, Utf8, columns_of, object_at, object_of, objects
from outcrop.buckets.version_ids import NULL_VERSION, number_in
from outcrop.store.prepared import Prepared

_OWN = ("bucket", "key", "version", "digest")
_versions = sql.Table(
    "object_versions",
    schema,
    sql.Column("bucket", sql.ForeignKey("buckets.name"), primary_key=True),
    sql.Column("key", Utf8, primary_key=True),
    # Minus the version's number within its key: the newest comes first along the index.
    sql.Column("rank", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("version", sql.String, nullable=False),
    sql.Column("is_marker", sql.Boolean, nullable=False),
    sql.Column("digest", sql.String, nullable=False, index=True),
    # Whatever else is on record of an object is on record of its versions.
    *(sql.Column(each.name, each.type, nullable=each.nullable) for each in objects.columns if each.name not in _OWN),
    sql.Index("object_versions_version", "bucket", "key", "version", unique=True),
)

# These run for every write where versions are kept.
_OF_KEY = (_versions.c.bucket == sql.bindparam("in_bucket")) & (_versions.c.key == sql.bindparam("at_key"))
_LEAST_RANK = sql.select(sql.func.min(_versions.c.rank)).where(_OF_KEY).scalar_subquery()
_NEWEST = Prepared(sql.select(_versions).where(_OF_KEY & (_versions.c.rank == _LEAST_RANK)))
_NAMED = Prepared(sql.select(_versions).where(_OF_KEY & (_versions.c.version == sql.bindparam("named"))))
_NEW = Prepared(sql.insert(_versions))
_GONE = Prepared(sql.delete(_versions).where(_OF_KEY & (_versions.c.rank == sql.bindparam("ranked"))))


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """A version of an object, or a delete marker."""

    object: ObjectRecord
    "Of a marker: key and moment, no bytes."
    version: str
    rank: int | None
    "None: the object itself, which comes before all older versions."
    is_marker: bool = False
    is_latest: bool = False


class VersionPlace(NamedTuple):
    """The place where a listing goes on: the first version of `key` behind `rank`, or its very first."""

    key: bytes
    rank: int | None = None
    with_object: bool = True
    "Whether the object of this very key is still to come."


def newest(connection: Connection, bucket: str, key: str) -> VersionRecord | None:
    """The newest of these rows; whether it is the latest of its key depends on whether there is an object."""
    found = _NEWEST.first(connection, {"in_bucket": bucket, "at_key": key})
    return None if found is None else _version(found)


def version_named(connection: Connection, bucket: str, key: str, version: str) -> VersionRecord | None:
    """The older version or marker with this id."""
    found = _NAMED.first(connection, {"in_bucket": bucket, "at_key": key, "named": version})
    return None if found is None else _version(found)


def add_version(connection: Connection, record: ObjectRecord, *, rank: int, is_marker: bool = False) -> None:
    """The row of an older version, or of a marker, made of an object's."""
    own = {"rank": rank, "is_marker": is_marker, "version": record.version or NULL_VERSION}
    _NEW.run(connection, columns_of(record) | own)


def take_version(connection: Connection, found: VersionRecord) -> None:
    """Take the row away and nothing else: its bytes are still somebody's, or there are none."""
    place = {"in_bucket": found.object.bucket, "at_key": found.object.key, "ranked": found.rank}
    _GONE.run(connection, place)


def remove_version(connection: Connection, found: VersionRecord, *, at: datetime) -> None:
    """Take the row away; its bytes become unwanted."""
    take_version(connection, found)
    if not found.is_marker:
        note_unwanted(connection, [found.object.digest], at=at)


def change_details_of_version(connection: Connection, found: VersionRecord, details: Details) -> None:
    """Change the details of an older version."""
    here = (
        (_versions.c.bucket == found.object.bucket)
        & (_versions.c.key == found.object.key)
        & (_versions.c.rank == found.rank)
    )
    connection.execute(sql.update(_versions).where(here).values(details=details.columns()))


def has_versions(connection: Connection, bucket: str) -> bool:
    """Whether an older version or a marker is left in the bucket."""
    query = sql.select(_versions.c.rank).where(_versions.c.bucket == bucket).limit(1)
    return connection.execute(query).first() is not None


def version_names_content(connection: Connection, digest: str) -> bool:
    """Whether an older version has the bytes with this digest."""
    found = sql.exists(sql.select(_versions.c.digest).where(_versions.c.digest == digest))
    return bool(connection.execute(sql.select(found)).scalar())


def versions_from(
    connection: Connection, bucket: str, start: VersionPlace, end: bytes | None, limit: int
) -> list[VersionRecord]:
    """The first versions from a place on, by key, the newest of a key first, whose key is before `end`."""
    begins_key = start.rank is None and start.with_object
    found = [] if begins_key else _rest_of_key(connection, bucket, start, limit)
    if len(found) >= limit:
        return found
    current = sql.select(objects).where(objects.c.bucket == bucket)
    older = _listed().where(_versions.c.bucket == bucket)
    if begins_key:
        current, older = current.where(objects.c.key >= start.key), older.where(_versions.c.key >= start.key)
    else:
        current, older = current.where(objects.c.key > start.key), older.where(_versions.c.key > start.key)
    if end is not None:
        current, older = current.where(objects.c.key < end), older.where(_versions.c.key < end)
    left = limit - len(found)
    rows = connection.execute(current.order_by(objects.c.key).limit(left))
    heads = [_current(object_of(row._asdict())) for row in rows]
    behind = _listed_versions(connection, older.order_by(_versions.c.key, _versions.c.rank).limit(left))
    merged = sorted([*heads, *behind], key=_order)
    return [*found, *merged[:left]]


def _rest_of_key(connection: Connection, bucket: str, start: VersionPlace, limit: int) -> list[VersionRecord]:
    """The versions of one key that are left, when some of them were listed.

    The object among them, where it was one of those behind, and those before it were removed meanwhile.
    """
    head = _promoted(connection, bucket, start)
    query = _listed().where(_versions.c.bucket == bucket, _versions.c.key == start.key)
    if start.rank is not None:
        query = query.where(_versions.c.rank > start.rank)
    found = _listed_versions(connection, query.order_by(_versions.c.rank).limit(limit))
    return [*head, *found][:limit]


def _promoted(connection: Connection, bucket: str, start: VersionPlace) -> list[VersionRecord]:
    if start.rank is None:
        return []
    key = start.key.decode()
    current = object_at(connection, bucket, key)
    if current is None:
        return []
    if current.version is not None:
        number = number_in(current.version)
    else:  # it is newer than all others, and nothing else is known of it
        behind = newest(connection, bucket, key)
        number = 1 if behind is None or behind.rank is None else 1 - behind.rank
    return [_current(current)] if -number > start.rank else []


def _listed() -> sql.Select[Any]:
    """Versions, and of each whether it is the latest of its key: only a marker can be."""
    newer = _versions.alias("newer")
    same_key = (newer.c.bucket == _versions.c.bucket) & (newer.c.key == _versions.c.key)
    latest = sql.and_(
        _versions.c.is_marker,
        ~sql.exists().where(objects.c.bucket == _versions.c.bucket, objects.c.key == _versions.c.key),
        ~sql.exists().where(same_key, newer.c.rank < _versions.c.rank),
    )
    return sql.select(_versions, latest.label("is_latest"))


def _listed_versions(connection: Connection, query: sql.Select[Any]) -> list[VersionRecord]:
    return [_version(row._asdict()) for row in connection.execute(query)]


def _version(row: Any) -> VersionRecord:
    own = {name: value for name, value in row.items() if name not in ("rank", "is_marker", "is_latest")}
    version = own.pop("version")
    return VersionRecord(
        object=object_of({**own, "version": None if version == NULL_VERSION else version}),
        version=version,
        rank=row["rank"],
        is_marker=bool(row["is_marker"]),
        is_latest=bool(row.get("is_latest", False)),
    )


def _current(record: ObjectRecord) -> VersionRecord:
    return VersionRecord(object=record, version=record.version or NULL_VERSION, rank=None, is_latest=True)


def _order(version: VersionRecord) -> tuple[bytes, bool, int]:
    return version.object.key.encode(), version.rank is not None, version.rank or 0
