"""The history of alarms: what was changed about them, which states they went through, what followed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store.database import UtcTime, create_tables, reading, writing

_LONGEST_SUMMARY = 255
_LONGEST_DATA = 4095
_schema = sql.MetaData()
_items = sql.Table(
    "alarm_history",
    _schema,
    sql.Column("id", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("alarm", sql.String, nullable=False),
    sql.Column("at", UtcTime, nullable=False),
    sql.Column("kind", sql.String, nullable=False),
    sql.Column("summary", sql.String, nullable=False),
    sql.Column("data", sql.Text, nullable=False),
    sql.Index("alarm_history_in_order", "region", "at", "id"),
)


class HistoryKind(StrEnum):
    """The kinds of items, in CloudWatch's words."""

    CONFIGURATION = "ConfigurationUpdate"
    STATE = "StateUpdate"
    ACTION = "Action"


@dataclass(frozen=True, kw_only=True)
class HistoryItem:
    """Something that happened to an alarm."""

    id: int = 0
    alarm: str
    at: datetime
    kind: HistoryKind
    summary: str
    data: str


class AlarmHistory:
    """The items of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add(self, item: HistoryItem, *, region: str) -> None:
        values = {
            "region": region,
            "alarm": item.alarm,
            "at": item.at,
            "kind": item.kind,
            "summary": item.summary[:_LONGEST_SUMMARY],
            "data": item.data[:_LONGEST_DATA],
        }
        with writing(self._engine) as connection:
            connection.execute(sql.insert(_items).values(values))

    def items(
        self,
        *,
        region: str,
        alarm: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        descending: bool = True,
        after: tuple[datetime, int] | None = None,
        most: int,
    ) -> list[HistoryItem]:
        """Items of a region in the order of time, within [since, until], behind a time and an id."""
        at, place = _items.c.at, sql.tuple_(_items.c.at, _items.c.id)
        query = sql.select(_items).where(_items.c.region == region).limit(most)
        query = query.order_by(at.desc(), _items.c.id.desc()) if descending else query.order_by(at, _items.c.id)
        for column, value in ((_items.c.alarm, alarm), (_items.c.kind, kind)):
            query = query if value is None else query.where(column == value)
        query = query if since is None else query.where(at >= since)
        query = query if until is None else query.where(at <= until)
        if after is not None:
            behind = sql.tuple_(sql.literal(after[0], UtcTime), after[1])
            query = query.where(place < behind if descending else place > behind)
        with reading(self._engine) as connection:
            return [
                HistoryItem(
                    id=row.id,
                    alarm=row.alarm,
                    at=row.at,
                    kind=HistoryKind(row.kind),
                    summary=row.summary,
                    data=row.data,
                )
                for row in connection.execute(query)
            ]

    def remove_before(self, cutoff: datetime) -> int:
        """Forget what is older; returns how many items went."""
        with writing(self._engine) as connection:
            return connection.execute(sql.delete(_items).where(_items.c.at < cutoff)).rowcount
