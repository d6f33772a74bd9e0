"""When access keys and roles were last used, and for what: exact in memory, written at most once a minute."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import sqlalchemy as sql

from outcrop.access.records.records import Records
from outcrop.access.records.tables import schema, table
from outcrop.errors import Unavailable
from outcrop.store.database import DiskFull, UtcTime, create_tables

WRITTEN_EVERY = timedelta(minutes=1)
_MAX_KEPT = 16384
_uses = table(
    "uses",
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("at", UtcTime, nullable=False),
    sql.Column("service", sql.String, nullable=False),
    sql.Column("region", sql.String, nullable=False),
)
_log = logging.getLogger("outcrop.access")


class Use(NamedTuple):
    at: datetime
    service: str
    region: str


class Uses:
    """The last use of each key id and role id."""

    def __init__(self, records: Records, *, begin: Callable[[Callable[[], None]], None] | None = None) -> None:
        """`begin` runs the writing; without one, in a thread, since whoever asks for permission may be in a hurry."""
        self._records = records
        self._begin = begin or _in_thread
        self._lock = threading.Lock()
        self._latest: dict[str, Use] = {}
        self._written: dict[str, datetime] = {}
        create_tables(records.engine, schema)

    def note(self, used_id: str, use: Use) -> None:
        self._latest[used_id] = use
        written = self._written.get(used_id)
        if written is not None and use.at - written < WRITTEN_EVERY:
            return
        with self._lock:
            if self._written.get(used_id) != written:
                return  # another thread is writing it
            if len(self._written) >= _MAX_KEPT:
                self._latest, self._written = {used_id: use}, {}
            self._written[used_id] = use.at
        self._begin(partial(self._write, used_id, use))

    def last(self, used_id: str) -> Use | None:
        """The last use that this process saw, or that any process wrote."""
        query = sql.select(_uses.c.at, _uses.c.service, _uses.c.region).where(_uses.c.id == used_id)
        row = self._records.first(query)
        found = [Use(**row._mapping)] if row is not None else []
        found += [self._latest[used_id]] if used_id in self._latest else []
        return max(found, key=lambda use: use.at, default=None)

    def _write(self, used_id: str, use: Use) -> None:
        try:
            with self._records.alone():
                self._records.write_unnoted(sql.delete(_uses).where(_uses.c.id == used_id))
                self._records.write_unnoted(sql.insert(_uses).values(id=used_id, **use._asdict()))
        except (DiskFull, Unavailable, sql.exc.SQLAlchemyError) as error:
            # Who reads need not care that the disk is full or the database busy; who writes will be told.
            _log.warning("the last use of %s was not written: %s", used_id, error)


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="last use", daemon=True).start()
