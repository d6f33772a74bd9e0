"""Memory that is held by others than engines. A training asks for it before it begins, and gives it back at its end.

A reservation is a row that names the process which holds it. One whose process is gone, however it ended, counts no
more. Each node of a cluster has memory of its own: a process asks for that of its node, where it is looked for.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql

from outcrop.clock import Clock
from outcrop.machine import memory
from outcrop.store.database import UtcTime, create_tables, reading, writing
from outcrop.store.database import alone as only_one
from outcrop.store.store import Store

_schema = sql.MetaData()
_table = sql.Table(
    "memory_reservations",
    _schema,
    sql.Column("owner", sql.String, primary_key=True),
    sql.Column("title", sql.String, nullable=False),
    sql.Column("pid", sql.Integer, nullable=False),
    sql.Column("started", sql.String, nullable=False),
    sql.Column("asked", UtcTime, nullable=False),
    sql.Column("wanted_bytes", sql.BigInteger, nullable=False),
    sql.Column("granted_bytes", sql.BigInteger, nullable=False),
    sql.Column("waits", sql.String),
    sql.Column("node", sql.String),  # None: the machine where the server is
)


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Memory that a process asked for, and as much as it may hold by now."""

    owner: str
    "ARN of the job."
    title: str
    "As a sentence names it."
    pid: int
    started: str
    "When the process was started, in the system's words."
    asked: datetime
    wanted_bytes: int
    granted_bytes: int
    "0 at first; as much as is wanted once there is room."
    waits: str | None
    "What it waits for."

    @property
    def missing_bytes(self) -> int:
        return self.wanted_bytes - self.granted_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes that count against the budget: what was granted, or what the process holds where that is more."""
        return max(self.granted_bytes, memory.resident(self.pid) or 0) if self.granted_bytes else 0


class Reservations:
    """The reservations of an installation, on record."""

    def __init__(self, store: Store, clock: Clock, *, node: str = "") -> None:
        """`node`: the one on which this process runs; empty: where the server is."""
        self._engine = store.engine
        self._clock = clock
        self._node = node or None
        self._here = _table.c.node.is_not_distinct_from(self._node)
        create_tables(store.engine, _schema)

    def ask(self, owner: str, title: str, num_bytes: int) -> None:
        """Ask for this process, in the place of what the owner had, and of what processes had that are gone."""
        pid = os.getpid()
        row = {
            "title": title,
            "pid": pid,
            "started": memory.started(pid) or "",
            "asked": self._clock.now(),
            "wanted_bytes": num_bytes,
            "granted_bytes": 0,
            "waits": None,
            "node": self._node,
        }
        with writing(self._engine) as connection:
            kept = [one.owner for one in self.all() if one.owner != owner]
            gone = self._here & _table.c.owner.not_in(kept)
            connection.execute(sql.delete(_table).where(gone | (_table.c.owner == owner)))
            connection.execute(sql.insert(_table).values(owner=owner, **row))

    def want(self, owner: str, num_bytes: int) -> bool:
        """Let the owner's reservation be larger; False where it has none, or has as much already."""
        smaller = (_table.c.owner == owner) & (_table.c.wanted_bytes < num_bytes)
        with writing(self._engine) as connection:
            update = sql.update(_table).where(smaller).values(wanted_bytes=num_bytes, asked=self._clock.now())
            return connection.execute(update).rowcount == 1

    def give_back(self, owner: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.owner == owner))

    def of(self, owner: str) -> Reservation | None:
        return next((one for one in self.all() if one.owner == owner), None)

    def all(self) -> list[Reservation]:
        """The reservations of this node whose process is there, in the order of asking."""
        columns = [column for column in _table.columns if column.name != "node"]
        query = sql.select(*columns).where(self._here).order_by(_table.c.asked, _table.c.owner)
        with reading(self._engine) as connection:
            found = [Reservation(**row._mapping) for row in connection.execute(query)]
        return [one for one in found if memory.started(one.pid) == one.started]

    def grant(self, owner: str) -> None:
        """Let the owner hold what it wants."""
        self._set(_table.c.owner == owner, {"granted_bytes": _table.c.wanted_bytes, "waits": None})

    def note_waiting(self, owner: str, sentence: str) -> None:
        self._set((_table.c.owner == owner) & (_table.c.waits.is_distinct_from(sentence)), {"waits": sentence})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A transaction in which nobody else shares the memory."""
        with writing(self._engine) as connection:
            only_one(connection, "memory")
            yield

    def _set(self, condition: sql.ColumnElement[bool], values: dict[str, Any]) -> None:
        with writing(self._engine) as connection:
            connection.execute(sql.update(_table).where(condition).values(**values))
