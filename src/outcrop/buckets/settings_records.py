"""The settings of a bucket, beside its objects, one document a kind: its tags, its policy, its rules for browsers."""

from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from outcrop.buckets.content_records import schema
from outcrop.store.point_reads import PointReads
from outcrop.store.prepared import Prepared

TAGGING = "tagging"
CORS = "cors"
POLICY = "policy"
VERSIONING = "versioning"
PUBLIC_ACCESS = "public access"
LIFECYCLE = "lifecycle"
ENCRYPTION = "encryption"
BLOCKED_ENCRYPTION = "blocked encryption"

bucket_settings = sql.Table(
    "bucket_settings",
    schema,
    sql.Column("bucket", sql.String, primary_key=True),
    sql.Column("kind", sql.String, primary_key=True),
    sql.Column("document", sql.JSON, nullable=False),
)

_DOCUMENT = Prepared(
    sql.select(bucket_settings.c.document).where(
        bucket_settings.c.bucket == sql.bindparam("of_bucket"), bucket_settings.c.kind == sql.bindparam("of_kind")
    )
)
"It runs for every reading of an object."


def setting(connection: Connection, bucket: str, kind: str) -> Any:
    """The document, or None when nothing of this kind is set."""
    found = _DOCUMENT.first(connection, {"of_bucket": bucket, "of_kind": kind})
    return None if found is None else found["document"]


def setting_by_point(points: PointReads, bucket: str, kind: str) -> Any:
    """`setting`, read without a connection, where `points.possible()`."""
    found = points.first(_DOCUMENT, {"of_bucket": bucket, "of_kind": kind})
    return None if found is None else found["document"]


def change_setting(connection: Connection, bucket: str, kind: str, document: Any) -> None:
    """Set the document in place of an earlier one; None takes it away."""
    here = (bucket_settings.c.bucket == bucket) & (bucket_settings.c.kind == kind)
    connection.execute(sql.delete(bucket_settings).where(here))
    if document is not None:
        connection.execute(sql.insert(bucket_settings).values(bucket=bucket, kind=kind, document=document))


def remove_settings(connection: Connection, bucket: str) -> None:
    connection.execute(sql.delete(bucket_settings).where(bucket_settings.c.bucket == bucket))


def buckets_with(connection: Connection, kind: str) -> dict[str, Any]:
    """The documents of a kind, by bucket."""
    query = sql.select(bucket_settings.c.bucket, bucket_settings.c.document).where(bucket_settings.c.kind == kind)
    return {row.bucket: row.document for row in connection.execute(query.order_by(bucket_settings.c.bucket))}
