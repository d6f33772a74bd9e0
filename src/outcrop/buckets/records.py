"""The rows of the built-in S3: buckets, objects, unfinished uploads and their parts. Their bytes: `content_records.py`.

Keys are stored as their UTF-8 bytes, since S3 lists them in the order of these bytes, whatever the database thinks of
letters. Every function takes an open connection: which rows change together is decided by the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Dialect

from outcrop.buckets.checksums import Algorithm, Checksum, ChecksumType
from outcrop.buckets.content_records import checksum_stored, note_unwanted, schema
from outcrop.buckets.encryption import ObjectEncryption
from outcrop.buckets.settings_records import VERSIONING, bucket_settings
from outcrop.store.database import UtcTime
from outcrop.store.point_reads import PointReads
from outcrop.store.prepared import Prepared


class Utf8(sql.types.TypeDecorator[str]):
    """Text stored and compared as its UTF-8 bytes."""

    impl = sql.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | bytes | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        return value.encode() if isinstance(value, str) else value

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.decode()


_buckets = sql.Table(
    "buckets",
    schema,
    sql.Column("name", sql.String, primary_key=True),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
)
objects = sql.Table(
    "objects",
    schema,
    sql.Column("bucket", sql.ForeignKey("buckets.name"), primary_key=True),
    sql.Column("key", Utf8, primary_key=True),
    sql.Column("digest", sql.String, nullable=False, index=True),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.Column("etag", sql.String, nullable=False),
    sql.Column("modified", UtcTime, nullable=False),
    sql.Column("details", sql.JSON, nullable=False),
    sql.Column("checksum", sql.JSON),
    sql.Column("upload_id", sql.String),
    sql.Column("version", sql.String),
)
_uploads = sql.Table(
    "uploads",
    schema,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("bucket", sql.ForeignKey("buckets.name"), nullable=False),
    sql.Column("key", Utf8, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("details", sql.JSON, nullable=False),
    sql.Column("algorithm", sql.String),
    sql.Column("checksum_type", sql.String),
    sql.Index("uploads_key", "bucket", "key", "id"),
)
_parts = sql.Table(
    "parts",
    schema,
    sql.Column("upload_id", sql.ForeignKey("uploads.id"), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("digest", sql.String, nullable=False, index=True),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.Column("etag", sql.String, nullable=False),
    sql.Column("modified", UtcTime, nullable=False),
    sql.Column("checksum", sql.JSON),
)


def _versioned(table: sql.Table, bucket: sql.Column[str]) -> sql.Select[Any]:
    """The rows of a table, and beside each whether its bucket keeps versions."""
    kind: sql.ColumnElement[str] = sql.literal_column(f"'{VERSIONING}'")
    of_bucket = (bucket_settings.c.bucket == bucket) & (bucket_settings.c.kind == kind)
    joined = table.outerjoin(bucket_settings, of_bucket)
    return sql.select(table, bucket_settings.c.document.label("versioning")).select_from(joined)


# These run for every object or part.
_BUCKET_NAMED = Prepared(_versioned(_buckets, _buckets.c.name).where(_buckets.c.name == sql.bindparam("named")))
_HERE = (objects.c.bucket == sql.bindparam("in_bucket")) & (objects.c.key == sql.bindparam("at_key"))
_OBJECT_AT = Prepared(_versioned(objects, objects.c.bucket).where(_HERE))
_DIGEST_AT = Prepared(sql.select(objects.c.digest).where(_HERE))
_NEW_OBJECT = Prepared(sql.insert(objects))
_NO_OBJECT = Prepared(sql.delete(objects).where(_HERE))
_UPLOAD_WITH = Prepared(sql.select(_uploads).where(_uploads.c.id == sql.bindparam("named")))
_PART = (_parts.c.upload_id == sql.bindparam("of_upload")) & (_parts.c.number == sql.bindparam("numbered"))
_DIGEST_OF_PART = Prepared(sql.select(_parts.c.digest).where(_PART))
_NEW_PART = Prepared(sql.insert(_parts))
_NO_PART = Prepared(sql.delete(_parts).where(_PART))


@dataclass(frozen=True, kw_only=True)
class BucketRecord:
    name: str
    region: str
    created: datetime
    versioning: str | None = None
    "Enabled or Suspended; None where versions were never kept."


@dataclass(frozen=True, kw_only=True)
class Details:
    """The properties of an object that its sender wrote beside the bytes and gets back with them."""

    content_type: str = "binary/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    "Further headers by their member names in the service model: ContentEncoding, CacheControl, ..."
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    "Kept and told; every class of it is on the same disk."
    encryption: ObjectEncryption | None = None
    "How its contents are sealed; None: they are not."

    def columns(self) -> dict[str, Any]:
        """The document that a row keeps."""
        return vars(self) | {"encryption": self.encryption and self.encryption.document()}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Details":
        sealed = stored.get("encryption")
        return cls(**stored) if sealed is None else cls(**{**stored, "encryption": ObjectEncryption.of(sealed)})


@dataclass(frozen=True, kw_only=True)
class ObjectRecord:
    """An object; `digest` names its bytes (see `content_records.py`), `etag` is without quotes."""

    bucket: str
    key: str
    digest: str
    size: int
    etag: str
    modified: datetime
    details: Details = field(default_factory=Details)
    checksum: Checksum | None = None
    upload_id: str | None = None
    "The multipart upload that made it."
    version: str | None = None
    "None is the version that S3 calls `null`."
    versioning: str | None = None
    "Whether its bucket keeps versions, as it was when this was read by its key; no column of its own."


@dataclass(frozen=True, kw_only=True)
class UploadRecord:
    """A multipart upload that was begun."""

    id: str
    bucket: str
    key: str
    created: datetime
    details: Details
    algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    upload_id: str
    number: int
    digest: str
    size: int
    etag: str
    modified: datetime
    checksum: Checksum | None = None


def add_bucket(connection: Connection, bucket: BucketRecord) -> None:
    connection.execute(sql.insert(_buckets).values(name=bucket.name, region=bucket.region, created=bucket.created))


def bucket_named(connection: Connection, name: str) -> BucketRecord | None:
    found = _BUCKET_NAMED.first(connection, {"named": name})
    return None if found is None else BucketRecord(**found)


def all_buckets(connection: Connection) -> list[BucketRecord]:
    return [BucketRecord(**row._mapping) for row in connection.execute(sql.select(_buckets).order_by(_buckets.c.name))]


def remove_bucket(connection: Connection, name: str) -> None:
    connection.execute(sql.delete(_buckets).where(_buckets.c.name == name))


def object_at(connection: Connection, bucket: str, key: str) -> ObjectRecord | None:
    found = _OBJECT_AT.first(connection, {"in_bucket": bucket, "at_key": key})
    return None if found is None else object_of(found)


def object_by_point(points: PointReads, bucket: str, key: str) -> ObjectRecord | None:
    """The object at a key, read without a connection, where `points.possible()`."""
    found = points.first(_OBJECT_AT, {"in_bucket": bucket, "at_key": key})
    return None if found is None else object_of(found)


def put_object(connection: Connection, record: ObjectRecord, *, replaces: ObjectRecord | None) -> None:
    """Write the row, in place of the one that is there, whose bytes become unwanted."""
    if replaces is not None:
        remove_object(connection, record.bucket, record.key, at=record.modified)
    _NEW_OBJECT.run(connection, columns_of(record))


def change_details(connection: Connection, record: ObjectRecord, details: Details) -> None:
    """Change the details of an object; its bytes stay the same."""
    here = (objects.c.bucket == record.bucket) & (objects.c.key == record.key)
    connection.execute(sql.update(objects).where(here).values(details=details.columns()))


def remove_object(connection: Connection, bucket: str, key: str, *, at: datetime) -> None:
    here = {"in_bucket": bucket, "at_key": key}
    found = _DIGEST_AT.first(connection, here)
    if found is not None:
        _NO_OBJECT.run(connection, here)
        note_unwanted(connection, [found["digest"]], at=at)


def take_object(connection: Connection, bucket: str, key: str) -> None:
    """Take the row away and nothing else: its bytes are still somebody's."""
    _NO_OBJECT.run(connection, {"in_bucket": bucket, "at_key": key})


def objects_from(
    connection: Connection, bucket: str, start: bytes, end: bytes | None, limit: int
) -> list[ObjectRecord]:
    """The first objects whose key is not before `start` and before `end`, in order."""
    query = sql.select(objects).where(objects.c.bucket == bucket, objects.c.key >= start)
    if end is not None:
        query = query.where(objects.c.key < end)
    return [object_of(row._asdict()) for row in connection.execute(query.order_by(objects.c.key).limit(limit))]


def add_upload(connection: Connection, upload: UploadRecord) -> None:
    connection.execute(sql.insert(_uploads).values({**vars(upload), "details": upload.details.columns()}))


def upload_with(connection: Connection, upload_id: str) -> UploadRecord | None:
    found = _UPLOAD_WITH.first(connection, {"named": upload_id})
    return None if found is None else _upload(found)


def upload_by_point(points: PointReads, upload_id: str) -> UploadRecord | None:
    """The upload with this id, read without a connection, where `points.possible()`."""
    found = points.first(_UPLOAD_WITH, {"named": upload_id})
    return None if found is None else _upload(found)


def uploads_of(connection: Connection, bucket: str) -> list[UploadRecord]:
    """The unfinished uploads of a bucket, by key, then by id, and so by when they began: see `upload_ids.py`."""
    query = sql.select(_uploads).where(_uploads.c.bucket == bucket)
    found = [_upload(row._asdict()) for row in connection.execute(query)]
    # Not by the database: letters of an id have an order of their own in some of Postgres's collations.
    return sorted(found, key=lambda upload: (upload.key.encode(), upload.id))


def remove_upload(connection: Connection, upload_id: str, *, at: datetime) -> None:
    """Remove an upload with its parts, whose bytes become unwanted unless an object is made of them."""
    parts = _parts.c.upload_id == upload_id
    digests = connection.execute(sql.select(_parts.c.digest).where(parts)).scalars().all()
    connection.execute(sql.delete(_parts).where(parts))
    connection.execute(sql.delete(_uploads).where(_uploads.c.id == upload_id))
    note_unwanted(connection, digests, at=at)


def put_part(connection: Connection, part: PartRecord) -> None:
    """Write the row, in place of an earlier part with this number."""
    here = {"of_upload": part.upload_id, "numbered": part.number}
    before = _DIGEST_OF_PART.first(connection, here)
    if before is not None:
        _NO_PART.run(connection, here)
        note_unwanted(connection, [before["digest"]], at=part.modified)
    _NEW_PART.run(connection, _columns_of(part))


def parts_of(connection: Connection, upload_id: str) -> list[PartRecord]:
    query = sql.select(_parts).where(_parts.c.upload_id == upload_id).order_by(_parts.c.number)
    return [_part(row) for row in connection.execute(query)]


def names_content(connection: Connection, digest: str) -> bool:
    """Whether a current object or a part has the bytes with this digest."""
    named = sql.or_(
        sql.exists(sql.select(objects.c.digest).where(objects.c.digest == digest)),
        sql.exists(sql.select(_parts.c.digest).where(_parts.c.digest == digest)),
    )
    return bool(connection.execute(sql.select(named)).scalar())


def columns_of(record: ObjectRecord) -> dict[str, Any]:
    """The row of an object."""
    row = _columns_of(record) | {"details": record.details.columns()}
    del row["versioning"]
    return row


def _columns_of(record: ObjectRecord | PartRecord) -> dict[str, Any]:
    # As `asdict`, which copies what is only read here, and takes longer for it than the database for its row.
    return vars(record) | {"checksum": record.checksum and vars(record.checksum)}


def object_of(row: Mapping[str, Any]) -> ObjectRecord:
    """The object that a row stands for."""
    parsed = {"details": Details.of(row["details"]), "checksum": checksum_stored(row["checksum"])}
    return ObjectRecord(**{**row, **parsed})


def _upload(row: Mapping[str, Any]) -> UploadRecord:
    parsed = {
        "details": Details.of(row["details"]),
        "algorithm": row["algorithm"] and Algorithm(row["algorithm"]),
        "checksum_type": row["checksum_type"] and ChecksumType(row["checksum_type"]),
    }
    return UploadRecord(**{**row, **parsed})


def _part(row: sql.Row[Any]) -> PartRecord:
    return PartRecord(**{**row._mapping, "checksum": checksum_stored(row.checksum)})
