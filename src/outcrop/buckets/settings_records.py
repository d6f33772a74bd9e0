"""The settings of a bucket, beside its objects, one document a kind: its tags, its policy, its rules for browsers."""

from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from outcrop.buckets.content_records import schema

TAGGING = "tagging"
CORS = "cors"
POLICY = "policy"

_settings = sql.Table(
    "bucket_settings",
    schema,
    sql.Column("bucket", sql.String, primary_key=True),
    sql.Column("kind", sql.String, primary_key=True),
    sql.Column("document", sql.JSON, nullable=False),
)


def setting(connection: Connection, bucket: str, kind: str) -> Any:
    """The document, or None when nothing of this kind is set."""
    query = sql.select(_settings.c.document).where(_settings.c.bucket == bucket, _settings.c.kind == kind)
    return connection.execute(query).scalar()


def change_setting(connection: Connection, bucket: str, kind: str, document: Any) -> None:
    """Set the document in place of an earlier one; None takes it away."""
    connection.execute(sql.delete(_settings).where(_settings.c.bucket == bucket, _settings.c.kind == kind))
    if document is not None:
        connection.execute(sql.insert(_settings).values(bucket=bucket, kind=kind, document=document))


def remove_settings(connection: Connection, bucket: str) -> None:
    connection.execute(sql.delete(_settings).where(_settings.c.bucket == bucket))
