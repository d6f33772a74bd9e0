"""Reads of one row by its key, straight from the database's driver, without a query builder's weight. A request asks
for such rows on its way.

A row through SQLAlchemy costs ten times what SQLite needs for it, and four ways to PostgreSQL and back where one is
enough. The connections are their own and begin no transaction, so a read sees what is committed at its moment. Inside
of a write transaction there is no such way: ask `reading(engine)` then.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store import postgresql
from outcrop.store.database import BUSY_TIMEOUT_S, is_writing
from outcrop.store.prepared import DriverText, Prepared

if TYPE_CHECKING:
    import psycopg

_KEPT = 8
"Connections to PostgreSQL that stay open: threads that read at the same moment have one each."
FoundRow = tuple[Any, ...] | None


class _Driver(Protocol):
    def prepared(self, text: DriverText, parameters: Mapping[str, Any]) -> FoundRow: ...
    def row(self, query: str, parameters: Sequence[Any]) -> FoundRow: ...
    def close(self) -> None: ...


class PointReads:
    """Rows of one database. Safe in several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._driver: _Driver = _Sqlite(engine) if engine.dialect.name == "sqlite" else _PostgreSQL(engine)
        sql.event.listen(engine, "engine_disposed", self._close)

    def possible(self) -> bool:
        return not is_writing(self._engine)

    def first(self, prepared: Prepared, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The first row by the names of its columns, converted as ever. Only where `possible`."""
        text = prepared.text(self._engine.dialect)
        row = self._driver.prepared(text, parameters)
        return None if row is None else text.named(row)

    def row(self, query: str, parameters: Sequence[Any]) -> FoundRow:
        """The first row of a query with a `?` for each parameter, as the database has it: times as microseconds. Only
        where `possible`."""
        return self._driver.row(query, parameters)

    def _close(self, _engine: Engine) -> None:
        self._driver.close()


class _Sqlite:
    """A connection for each thread."""

    def __init__(self, engine: Engine) -> None:
        assert engine.url.database is not None, "SQLite lives in a file here"
        self._file = engine.url.database
        self._own = threading.local()
        self._lock = threading.Lock()
        self._opened: list[sqlite3.Connection] = []

    def prepared(self, text: DriverText, parameters: Mapping[str, Any]) -> FoundRow:
        found: FoundRow = self._connection().execute(text.query, text.bound(parameters)).fetchone()
        return found

    def row(self, query: str, parameters: Sequence[Any]) -> FoundRow:
        found: FoundRow = self._connection().execute(query, parameters).fetchone()
        return found

    def close(self) -> None:
        with self._lock:
            self._own = threading.local()
            for connection in self._opened:
                connection.close()
            self._opened.clear()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        return self._connect() if connection is None else connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        with self._lock:
            self._opened.append(connection)
        self._own.connection = connection
        return connection


class _PostgreSQL:
    """A few connections, of which a thread has one while it reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._free: deque[psycopg.Connection[tuple[Any, ...]]] = deque()

    def prepared(self, text: DriverText, parameters: Mapping[str, Any]) -> FoundRow:
        return self._first(text.query, text.bound_by_name(parameters))

    def row(self, query: str, parameters: Sequence[Any]) -> FoundRow:
        return self._first(query.replace("%", "%%").replace("?", "%s"), parameters)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _first(self, query: str, parameters: Mapping[str, Any] | Sequence[Any]) -> FoundRow:
        from psycopg import Error

        connection, is_new = self._connection()
        try:
            return self._read(connection, query, parameters)
        except Error as error:
            if connection.broken and not is_new:
                # It ended while nobody looked, and so did its neighbours: a read that got no answer can be repeated.
                self.close()
                return self._first(query, parameters)
            raise postgresql.trouble(error) or error from error

    def _connection(self) -> "tuple[psycopg.Connection[tuple[Any, ...]], bool]":
        try:
            return self._free.pop(), False
        except IndexError:
            return postgresql.connect(self._engine), True

    def _read(
        self,
        connection: "psycopg.Connection[tuple[Any, ...]]",
        query: str,
        parameters: Mapping[str, Any] | Sequence[Any],
    ) -> FoundRow:
        try:
            return connection.execute(query, parameters, prepare=True).fetchone()
        finally:
            if connection.closed or len(self._free) >= _KEPT:
                connection.close()
            else:
                self._free.append(connection)
