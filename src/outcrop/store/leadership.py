"""The lead among the servers of one installation: one of them does what is done once.

Alarms, scaling, deliveries and clearing up are such. On PostgreSQL the leader is the one whose connection holds a lock,
and the lock goes with the connection: a server that dies, or loses the database, leads no more, and another one takes
its place within seconds. No clock is compared. A home with SQLite has one server, which leads.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store import postgresql

if TYPE_CHECKING:
    import psycopg

_ASKED_S = 1.0
"So long an answer is believed."
_LEADER_LOCK = 0x6F746C64
"`otld` in ASCII; beside it, as with the writers' lock, the schema."
_TAKE = f"SELECT pg_try_advisory_lock({_LEADER_LOCK}, hashtext(coalesce(current_schema(), '')))"


class Leadership:
    """The lead of this process. Safe in several threads."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._leads = False
        self._asked_at = float("-inf")
        sql.event.listen(engine, "engine_disposed", self._close)

    def holds(self) -> bool:
        """Whether this process leads. Raises DatabaseAway."""
        if self._engine.dialect.name == "sqlite":
            return True
        with self._lock:
            if self._monotonic() - self._asked_at >= _ASKED_S:
                self._leads = self._ask()
                self._asked_at = self._monotonic()
            return self._leads

    def _ask(self) -> bool:
        from psycopg import Error

        if self._connection is None or self._connection.closed:
            self._leads = False
            self._connection = postgresql.connect(self._engine)
        try:
            # Who leads asks whether the connection, and with it the lock, is still there.
            row = self._connection.execute("SELECT true" if self._leads else _TAKE).fetchone()
        except Error as error:
            self._leads = False
            self._connection.close()
            raise postgresql.trouble(error) or error from error
        return row is not None and bool(row[0])

    def _close(self, _engine: Engine) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection, self._leads, self._asked_at = None, False, float("-inf")
