"""Reads of one row by its key, straight from SQLite, without a query builder's weight. A request asks for such rows on
its way.

A row through SQLAlchemy costs ten times what SQLite needs for it. Each thread has a connection of its own that begins
no transaction, so a read sees what is committed at its moment. Elsewhere than on SQLite, and inside of a write
transaction, there is no such way: ask `reading(engine)` then.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store.database import BUSY_TIMEOUT_S, is_writing
from outcrop.store.prepared import Prepared


class PointReads:
    """Rows of one database. Safe in several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._own = threading.local()
        self._lock = threading.Lock()
        self._opened: list[sqlite3.Connection] = []
        sql.event.listen(engine, "engine_disposed", self._close)

    def possible(self) -> bool:
        return self._is_sqlite and not is_writing(self._engine)

    def first(self, prepared: Prepared, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The first row by the names of its columns, converted as ever. Only where `possible`."""
        return prepared.first_by(self._connection(), self._engine.dialect, parameters)

    def row(self, query: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row as SQLite has it: times as microseconds, documents as JSON text. Only where `possible`."""
        found: tuple[Any, ...] | None = self._connection().execute(query, parameters).fetchone()
        return found

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        return self._connect() if connection is None else connection

    def _connect(self) -> sqlite3.Connection:
        assert self._engine.url.database is not None, "SQLite lives in a file here"
        connection = sqlite3.connect(
            self._engine.url.database, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        with self._lock:
            self._opened.append(connection)
        self._own.connection = connection
        return connection

    def _close(self, _engine: Engine) -> None:
        with self._lock:
            self._own = threading.local()
            for connection in self._opened:
                connection.close()
            self._opened.clear()
