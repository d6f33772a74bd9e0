"""Rows that cannot be read become Failed, so that they can be seen and deleted.

Those that a reader of this process has met are failed at the next turn. All others are looked through a piece at a
time, and again only after somebody has written: a large installation pays no more for it than a small one.
"""

from datetime import datetime

import sqlalchemy as sql

from outcrop.store.database import reading
from outcrop.store.resource_table import AS_KEPT, RESOURCES
from outcrop.store.resources import Row
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch

PIECE = 500
"Rows looked through in one turn; they take some 10 ms."


class DamageSweep:
    """The look of one process for damaged rows: `turn` now and then."""

    def __init__(self, store: Store) -> None:
        self._engine = store.engine
        self._resources = store.resources
        self._watch = ChangeWatch(store.engine)
        self._behind = ""
        "The ARN behind which the round goes on; an empty text between two rounds."

    def turn(self, *, at: datetime) -> list[str]:
        """ARNs of the rows that became Failed."""
        met = [row for arn in self._resources.met_damaged() if (row := self._resources.row(arn)) is not None]
        damaged = sorted({row.arn for row in (*met, *self._piece()) if not row.is_sound})
        for arn in damaged:
            self._resources.fail(arn, at=at)
        return damaged

    def _piece(self) -> list[Row]:
        if self._behind:
            return self._read()
        with self._watch.news() as moved:  # since the last round began
            return self._read() if moved else []

    def _read(self) -> list[Row]:
        query = sql.select(*AS_KEPT).where(RESOURCES.c.arn > self._behind).order_by(RESOURCES.c.arn).limit(PIECE)
        with reading(self._engine) as connection:
            rows = [Row.of(row) for row in connection.execute(query)]
        self._behind = rows[-1].arn if len(rows) == PIECE else ""
        return rows
