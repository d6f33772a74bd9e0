"""The database of a home past the rooms that own it: rows damaged by hand, bytes searched, a disk that nobody waits for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.settings import Settings

IN_POSTGRESQL = os.environ.get("OUTCROP_TEST_DATABASE") == "postgresql"
sqlite_only = pytest.mark.skipif(IN_POSTGRESQL, reason="about a file of SQLite")


@contextmanager
def by_hand(settings: Settings) -> Iterator[Connection]:
    """A transaction of somebody who knows nothing of Outcrop."""
    timeout = {} if settings.database_url else {"timeout": 30}
    engine = sql.create_engine(settings.database, connect_args=timeout)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def wait_for_no_disk(engine: Engine) -> None:
    """Let commits be acknowledged before they are on the disk: nothing has to outlive the test's process."""
    if engine.dialect.name == "sqlite":  # PostgreSQL's server of the tests does so anyway
        sql.event.listen(engine, "connect", lambda made, _: made.execute("PRAGMA synchronous = OFF"))
        engine.dispose()


def kept_bytes(settings: Settings) -> bytes:
    """Everything that the database holds: SQLite's files, or every row of PostgreSQL as text."""
    if not settings.database_url:
        return b"".join(path.read_bytes() for path in settings.home.glob("outcrop.db*"))
    with by_hand(settings) as connection:
        tables = sql.inspect(connection).get_table_names()
        rows = (connection.exec_driver_sql(f'SELECT CAST(t AS TEXT) FROM "{name}" AS t').scalars() for name in tables)
        return "\n".join(row for each in rows for row in each).encode()
