"""Log groups with their streams and events, as CloudWatch Logs has them: lines with a time, kept in the database.

    groups = LogGroups(store, clock)
    groups.create("/aws/bedrock", region="us-east-1")              # again, it is no error
    groups.put("/aws/bedrock", "aws/bedrock/modelinvocations", [LogEvent(at=now, message="{…}")], region="us-east-1")
    groups.events("/aws/bedrock", region="us-east-1", since=yesterday)

Only services write here so far; the operations of CloudWatch Logs, which people read with, are not built yet.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from outcrop.clock import Clock
from outcrop.errors import Invalid, NotFound
from outcrop.store.database import UtcTime, alone, create_tables, reading, writing
from outcrop.store.store import Store

LARGEST_EVENT_BYTES = 1 << 20
"What CloudWatch Logs takes of one event: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"
_GROUP = re.compile(r"[A-Za-z0-9_./#-]{1,512}")
_STREAM = re.compile(r"[^:*]{1,512}")
_PAGE = 1000

_schema = sql.MetaData()
_groups = sql.Table(
    "log_groups",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("name", sql.String, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.UniqueConstraint("region", "name"),
)
_streams = sql.Table(
    "log_streams",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("group_id", sql.Integer, nullable=False),
    sql.Column("name", sql.String, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.UniqueConstraint("group_id", "name"),
)
_events = sql.Table(
    "log_events",
    _schema,
    sql.Column("id", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True),
    sql.Column("stream_id", sql.Integer, nullable=False),
    sql.Column("at", UtcTime, nullable=False),
    sql.Column("ingested", UtcTime, nullable=False),
    sql.Column("message", sql.Text, nullable=False),
    sql.Index("log_events_of_stream", "stream_id", "at", "id"),
)


@dataclass(frozen=True, kw_only=True)
class LogEvent:
    """A line of a log, and the moment that it tells of."""

    at: datetime
    message: str


@dataclass(frozen=True, kw_only=True)
class KeptEvent:
    """An event on record."""

    id: int
    stream: str
    at: datetime
    ingested: datetime
    message: str


class LogGroups:
    """The log groups of an installation, in every region."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @cached_property
    def _engine(self) -> sql.Engine:
        create_tables(self._store.engine, _schema)  # when first needed: a start waits for no table of this room
        return self._store.engine

    def create(self, name: str, *, region: str) -> None:
        """Make a group where none has the name. Raises Invalid for what is no name of one."""
        check_group_name(name)
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            if _group_id(connection, name, region) is None:
                connection.execute(sql.insert(_groups).values(region=region, name=name, created=self._clock.now()))

    def exists(self, name: str, *, region: str) -> bool:
        with reading(self._engine) as connection:
            return _group_id(connection, name, region) is not None

    def names(self, *, region: str) -> list[str]:
        """The groups of a region, by name."""
        query = sql.select(_groups.c.name).where(_groups.c.region == region).order_by(_groups.c.name)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def streams(self, name: str, *, region: str) -> list[str]:
        """The streams of a group, by name. Raises NotFound."""
        with reading(self._engine) as connection:
            group = _required(connection, name, region)
            query = sql.select(_streams.c.name).where(_streams.c.group_id == group).order_by(_streams.c.name)
            return list(connection.execute(query).scalars())

    def put(self, name: str, stream: str, events: Sequence[LogEvent], *, region: str) -> None:
        """Add events to a stream, which is made where it is absent: all of them, or none.

        Raises NotFound for a group that is not there, Invalid for an event that is too large.
        """
        if not _STREAM.fullmatch(stream):
            raise Invalid(f"logStreamName: {stream[:80]!r} is no name of a stream. Leave out ':' and '*'.")
        for event in events:
            size = len(event.message.encode())
            if size > LARGEST_EVENT_BYTES:
                raise Invalid(f"Log event too large: {size} bytes exceed {LARGEST_EVENT_BYTES}.")
        now = self._clock.now()
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            group = _required(connection, name, region)
            stream_id = _stream_id(connection, group, stream, now)
            rows = [
                {"stream_id": stream_id, "at": each.at, "ingested": now, "message": each.message} for each in events
            ]
            if rows:
                connection.execute(sql.insert(_events), rows)

    def events(
        self,
        name: str,
        *,
        region: str,
        stream: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[KeptEvent]:
        """Events of a group, or of one stream, in [since, until): each stream's oldest first. Raises NotFound."""
        with reading(self._engine) as connection:
            group = _required(connection, name, region)
            of_group = sql.select(_streams.c.id, _streams.c.name).where(_streams.c.group_id == group)
            streams = [tuple(row) for row in connection.execute(of_group.order_by(_streams.c.name))]
        for stream_id, stream_name in streams:
            if stream in (None, stream_name):
                yield from self._events_of(stream_id, stream_name, since, until)

    def delete(self, name: str, *, region: str) -> None:
        """Forget a group with its streams and events. Raises NotFound."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            group = _required(connection, name, region)
            streams = sql.select(_streams.c.id).where(_streams.c.group_id == group)
            connection.execute(sql.delete(_events).where(_events.c.stream_id.in_(streams)))
            connection.execute(sql.delete(_streams).where(_streams.c.group_id == group))
            connection.execute(sql.delete(_groups).where(_groups.c.id == group))

    def _events_of(
        self, stream_id: int, stream: str, since: datetime | None, until: datetime | None
    ) -> Iterator[KeptEvent]:
        """Page by page, each in a transaction of its own: a log may be longer than memory."""
        place = sql.tuple_(_events.c.at, _events.c.id)
        query = sql.select(_events).where(_events.c.stream_id == stream_id).order_by(_events.c.at, _events.c.id)
        query = query if since is None else query.where(_events.c.at >= since)
        query = query if until is None else query.where(_events.c.at < until)
        last: KeptEvent | None = None
        while True:
            page = query if last is None else query.where(place > sql.tuple_(sql.literal(last.at, UtcTime), last.id))
            with reading(self._engine) as connection:
                rows = connection.execute(page.limit(_PAGE)).all()
            for row in rows:
                last = KeptEvent(id=row.id, stream=stream, at=row.at, ingested=row.ingested, message=row.message)
                yield last
            if len(rows) < _PAGE:
                return


def check_group_name(name: str) -> None:
    """Raises Invalid for what CloudWatch Logs takes for no name of a group."""
    if not _GROUP.fullmatch(name):
        raise Invalid(
            f"logGroupName: {name[:80]!r} is no name of a log group. Use 1 to 512 of a-z, A-Z, 0-9, '_', '-', '/', "
            "'.' and '#'."
        )


def _group_id(connection: Connection, name: str, region: str) -> int | None:
    query = sql.select(_groups.c.id).where(_groups.c.region == region, _groups.c.name == name)
    found: int | None = connection.execute(query).scalar()
    return found


def _required(connection: Connection, name: str, region: str) -> int:
    found = _group_id(connection, name, region)
    if found is None:
        raise NotFound("The specified log group does not exist.")
    return found


def _stream_id(connection: Connection, group: int, stream: str, now: datetime) -> int:
    query = sql.select(_streams.c.id).where(_streams.c.group_id == group, _streams.c.name == stream)
    found: int | None = connection.execute(query).scalar()
    if found is not None:
        return found
    values = {"group_id": group, "name": stream, "created": now}
    made = connection.execute(sql.insert(_streams).values(values)).inserted_primary_key
    assert made is not None, "an inserted row has a key"
    return int(made[0])
