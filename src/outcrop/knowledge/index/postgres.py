"""An index in PostgreSQL: a schema for each knowledge base, in a database that machines may share.

Passages are searched in the memory of each process, exactly as the embedded index does it, so pgvector is not needed.
"""

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.knowledge.index.sql_storage import SqlStorage
from outcrop.knowledge.index.stored_index import StoredIndex
from outcrop.store.database import open_database, writing


class PostgresIndex(StoredIndex):
    """A `PassageIndex` in one schema of a PostgreSQL database; the schema is made if new."""

    def __init__(self, url: sql.URL, *, namespace: str, dimensions: int | None) -> None:
        """`namespace`: the name of the schema.

        Raises Invalid where its index has another width, MachineTrouble where the database cannot be opened.
        """
        _change_schema(url, sql.schema.CreateSchema(namespace, if_not_exists=True))
        inside = url.update_query_dict({"options": f"-csearch_path={namespace}"})
        engine = open_database(inside.render_as_string(hide_password=False))
        super().__init__(SqlStorage(engine, dimensions=dimensions))


def drop(url: sql.URL, *, namespace: str) -> None:
    """Take a schema out with all that is in it."""
    _change_schema(url, sql.schema.DropSchema(namespace, cascade=True, if_exists=True))


def connected(url: sql.URL) -> Engine:
    """An engine of a database in which nothing is made: it may be somebody else's. Raises ImportError, no driver."""
    return sql.create_engine(url, pool_pre_ping=True, pool_size=2)


def _change_schema(url: sql.URL, change: sql.schema.ExecutableDDLElement) -> None:
    engine = connected(url)
    try:
        with writing(engine) as connection:
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(sql.func.hashtext("knowledge schema"))))
            connection.execute(change)
    finally:
        engine.dispose()
