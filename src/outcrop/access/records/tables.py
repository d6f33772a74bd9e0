"""The database tables of access control as one: their declaration, and the transactions that read and write them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.access.changes import Changes
from outcrop.store.database import alone, create_tables, reading, writing

schema = sql.MetaData()


def table(name: str, *columns: sql.schema.SchemaItem) -> sql.Table:
    """A table of this room; `create_tables(engine, schema)` makes it."""
    return sql.Table(f"access_{name}", schema, *columns)


def of_identity() -> sql.Column[str]:
    """A column for what hangs on an identity and goes with it."""
    return sql.Column("identity_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), primary_key=True)


class Tables:
    """Reading and writing; each method is one transaction, or joins the one that `alone()` or the store has open."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        create_tables(engine, schema)
        self.changes = Changes(engine)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A write transaction in which nobody else changes these tables: check first, then write."""
        with writing(self.engine) as connection:
            alone(connection, "access")
            yield

    def first(self, query: sql.Select[Any]) -> sql.Row[Any] | None:
        with reading(self.engine) as connection:
            return connection.execute(query).first()

    def all(self, query: sql.Select[Any]) -> list[sql.Row[Any]]:
        with reading(self.engine) as connection:
            return list(connection.execute(query).all())

    def write(self, statement: sql.Insert | sql.Update | sql.Delete) -> int:
        """How many rows it changed; what anybody remembers of these tables is void then."""
        with writing(self.engine) as connection:
            changed = connection.execute(statement).rowcount
            if changed:
                self.changes.note(connection)
            return changed

    def write_unnoted(self, statement: sql.Insert | sql.Update | sql.Delete) -> int:
        """Write what no cache can hold a wrong belief about, without noting a change; see decision_cache.py."""
        with writing(self.engine) as connection:
            return connection.execute(statement).rowcount
