"""Whether anybody has written to the database: what a loop asks before it looks at the records again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store.database import BUSY_TIMEOUT_S
from outcrop.store.point_reads import PointReads


class ChangeWatch:
    """The writes since the last look, by whichever process; one for each loop.

    SQLite counts them, and is asked in microseconds. PostgreSQL names the transactions that a snapshot sees: the same
    name is the same content, and another may stand for the write of another database on that server.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        self._seen: object = None
        self._points = PointReads(engine)
        sql.event.listen(engine, "engine_disposed", self._close)

    @contextmanager
    def news(self) -> Iterator[bool]:
        """Whether anything was committed since the last such block that ended well; True in the first one."""
        count = self._count()
        yield self._seen is None or count != self._seen
        self._seen = count

    def _count(self) -> object:
        if self._engine.dialect.name != "sqlite":
            return self._points.row("SELECT CAST(pg_current_snapshot() AS TEXT)", ())
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.execute("PRAGMA data_version").fetchone()

    def _connect(self) -> sqlite3.Connection:
        # The count is of other connections' commits: this one never writes, so it sees all of them.
        assert self._engine.url.database is not None, "SQLite lives in a file here"
        return sqlite3.connect(
            self._engine.url.database, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    def _close(self, _engine: Engine) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._seen = None
