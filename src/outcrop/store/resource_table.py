"""The table of resources: its columns, and the indexes by which rows are found and listed.

What is looked for often has an index, so that a look costs what it finds and not what there is. Members of documents
get theirs as expressions rather than in a table of references beside this one: an index is never behind its row, be it
written by an older program or by hand, and a database that lacks it gets it at the next start.
"""

import re

import sqlalchemy as sql
from sqlalchemy.engine import Dialect

from outcrop.store.database import UtcTime
from outcrop.store.dialects import json_text

schema = sql.MetaData()
_name = sql.Column("name", sql.String)
BY_NAME: sql.ColumnElement[str] = sql.func.coalesce(_name, sql.literal_column("''"), type_=sql.String)
"The name as listings sort by it: what has none comes first, in every database."

RESOURCES = sql.Table(
    "resources",
    schema,
    sql.Column("arn", sql.String, primary_key=True),
    sql.Column("kind", sql.String, nullable=False),
    sql.Column("region", sql.String, nullable=False),
    _name,
    sql.Column("status", sql.String, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("updated", UtcTime, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("document", sql.JSON, nullable=False),
    sql.UniqueConstraint("kind", "region", "name", name="resources_name"),
    # A listing goes along one of these. What it filters by stands at the end: rows left out are not even fetched.
    sql.Index("resources_by_created", "kind", "region", "created", "arn", "name", "status"),
    sql.Index("resources_by_updated", "kind", "region", "updated", "arn"),
    sql.Index("resources_by_status", "kind", "region", "status", "arn"),
    sql.Index("resources_in_status", "kind", "region", "status", "created", "arn", "name"),
    sql.Index("resources_status", "kind", "status", "created", "arn"),
)
sql.Index("resources_by_name", RESOURCES.c.kind, RESOURCES.c.region, BY_NAME, RESOURCES.c.arn)

# Times and documents as the row has them: one damaged row must not end the reading of all others.
AS_KEPT = [
    json_text(column).label(column.name)
    if column.name == "document"
    else sql.type_coerce(column, sql.BigInteger).label(column.name)
    if column.name in ("created", "updated")
    else column
    for column in RESOURCES.columns
]


def of_kind(kind: str) -> sql.ColumnElement[bool]:
    """The rows of a kind, named in the statement's text: only so does SQLite know that `member_index` holds them."""
    assert re.fullmatch(r"[a-z-]+", kind), "a kind is code, not input"
    return RESOURCES.c.kind == sql.literal_column(f"'{kind}'", sql.String)


def member(name: str, dialect: Dialect) -> sql.ColumnElement[str]:
    """A member of the document as text, spelled as in its index."""
    return sql.literal_column(_member_text(name, dialect), sql.String)


def member_index(kind: str, name: str, dialect: Dialect) -> sql.TextClause:
    """The statement that makes the index of one kind's rows by a member. Its order is the one in which rows are
    listed."""
    named = f"resources_{kind}_{name}".replace("-", "_")
    # The kind, though always the same, makes SQLite prefer it to the index that leads to all rows of the kind.
    columns = f"kind, ({_member_text(name, dialect)}), region, created, arn, status, name"
    return sql.text(f"CREATE INDEX IF NOT EXISTS \"{named}\" ON resources ({columns}) WHERE kind = '{kind}'")


def _member_text(name: str, dialect: Dialect) -> str:
    assert name.isidentifier(), "the name of a member is code, not input"
    if dialect.name == "sqlite":  # which would end the whole query at a document that is no JSON
        return f"CASE WHEN json_valid(document) THEN json_extract(document, '$.{name}') END"
    return f"(document ->> '{name}')"
