"""A change counter of the access tables: whatever was read while it stood still is still true.

Each change raises it in its own transaction, so it is visible exactly when the change is. SQLite is asked before every
decision, on a connection of its own (3 µs). Another database is asked at most once a second: what another process
changes there counts a second later at the latest, what this one changes counts at once.
"""

import sqlite3
import threading
import time
from collections.abc import Callable

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.store.database import BUSY_TIMEOUT_S, alone, create_tables, writing
from outcrop.store.point_reads import PointReads

_schema = sql.MetaData()
_changes = sql.Table(
    "access_changes",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("number", sql.BigInteger, nullable=False),
)
_SELECT = "SELECT number FROM access_changes WHERE id = 1"
_EVERY_S = 1.0
# A transaction lasts less than SQLite would wait for its lock; until then an own change may still be uncommitted.
_UNSETTLED_S = float(BUSY_TIMEOUT_S)


class Changes:
    """The number, as this process sees it. Safe in several threads."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._points = PointReads(engine)
        self._number, self._read_at, self._unsettled_until = -1, float("-inf"), float("-inf")
        create_tables(engine, _schema)
        with writing(engine) as connection:
            alone(connection, "access")
            if connection.execute(sql.select(_changes.c.number)).first() is None:
                connection.execute(sql.insert(_changes).values(id=1, number=0))
        self._is_sqlite = engine.dialect.name == "sqlite"
        sql.event.listen(engine, "engine_disposed", self._close)

    def note(self, connection: Connection) -> None:
        """Inside the transaction that changes something."""
        connection.execute(sql.update(_changes).values(number=_changes.c.number + 1))
        self._unsettled_until = self._monotonic() + _UNSETTLED_S

    def number(self) -> int:
        """The number as committed now."""
        with self._lock:
            return self._from_sqlite() if self._is_sqlite else self._from_elsewhere()

    def _from_sqlite(self) -> int:
        if self._connection is None:
            assert self._engine.url.database is not None, "SQLite lives in a file here"
            # Autocommit: each SELECT sees what is committed at its moment, never an older snapshot.
            self._connection = sqlite3.connect(
                self._engine.url.database, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        return self._from_row(self._connection.execute(_SELECT).fetchone())

    def _from_elsewhere(self) -> int:
        now = self._monotonic()
        if now - self._read_at >= _EVERY_S or now < self._unsettled_until:
            self._number = self._from_row(self._points.row(_SELECT, ()))
            self._read_at = now
        return self._number

    def _from_row(self, row: tuple[int] | None) -> int:
        assert row is not None, "the counter is there since these tables are"
        return row[0]

    def _close(self, _engine: Engine) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
