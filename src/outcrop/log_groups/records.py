"""The tables of log groups and their streams; what the streams hold is in files (see `event_files.py`)."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.errors import NotFound, ServiceRefusal
from outcrop.store.database import UtcTime, alone, create_tables, microseconds, reading, writing

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
_retention = sql.Table(
    "log_retention",
    _schema,
    sql.Column("group_id", sql.Integer, primary_key=True),
    sql.Column("days", sql.Integer, nullable=False),
)
_keys = sql.Table(
    "log_group_keys",
    _schema,
    sql.Column("group_id", sql.Integer, primary_key=True),
    sql.Column("key_arn", sql.String, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class LogGroup:
    """A log group on record."""

    id: int
    region: str
    name: str
    created: datetime
    retention_days: int | None
    "None: its events are kept for ever."
    kms_key_arn: str = ""
    "Of the KMS key that seals what is put into it; empty: nothing is sealed."


@dataclass(frozen=True, kw_only=True)
class LogStream:
    """A stream of a log group on record."""

    id: int
    group_id: int
    name: str
    created: datetime

    @property
    def folder(self) -> str:
        """The name of the folder with its events; no other stream ever has it, though ids are given again."""
        return f"{self.id}-{microseconds(self.created)}"


class LogRecords:
    """The rows of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def make_group(self, name: str, *, region: str, at: datetime) -> bool:
        """Whether there was none of that name, so that one was made."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            if connection.execute(_named(name, region)).first() is not None:
                return False
            connection.execute(sql.insert(_groups).values(region=region, name=name, created=at))
            return True

    def find_group(self, name: str, *, region: str) -> LogGroup | None:
        with reading(self._engine) as connection:
            return _found(connection, name, region)

    def group(self, name: str, *, region: str) -> LogGroup:
        """Raises NotFound."""
        with reading(self._engine) as connection:
            return _required(connection, name, region)

    def groups(
        self,
        *,
        region: str | None = None,
        prefix: str = "",
        containing: str = "",
        after: str | None = None,
        most: int | None = None,
    ) -> list[LogGroup]:
        """Log groups by their names, behind `after`; without `region` those of all regions."""
        query = _SELECT_GROUPS.order_by(_groups.c.name, _groups.c.id).limit(most)
        if region is not None:
            query = query.where(_groups.c.region == region)
        if prefix:
            query = query.where(_begins(_groups.c.name, prefix))
        if after is not None:
            query = query.where(_groups.c.name > after)
        with reading(self._engine) as connection:
            if not containing:
                return [_group(row) for row in connection.execute(query)]
            # LIKE ignores case on SQLite; names are looked through here instead, as many as there are.
            found = (_group(row) for row in connection.execute(query.limit(None)))
            return [each for each in found if containing in each.name][:most]

    def remove_group(self, name: str, *, region: str) -> list[LogStream]:
        """Forget a group with its streams, which are returned: their files are to be removed. Raises NotFound."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            group = _required(connection, name, region)
            streams = [_stream(row) for row in connection.execute(_of_group(group.id))]
            connection.execute(sql.delete(_streams).where(_streams.c.group_id == group.id))
            for table in (_retention, _keys):
                connection.execute(sql.delete(table).where(table.c.group_id == group.id))
            connection.execute(sql.delete(_groups).where(_groups.c.id == group.id))
        return streams

    def set_retention(self, name: str, days: int | None, *, region: str) -> None:
        """Raises NotFound."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            group = _required(connection, name, region)
            connection.execute(sql.delete(_retention).where(_retention.c.group_id == group.id))
            if days is not None:
                connection.execute(sql.insert(_retention).values(group_id=group.id, days=days))

    def set_key(self, name: str, key_arn: str, *, region: str) -> None:
        """Seal what is put from now on by this key; nothing: by none. Raises NotFound."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            group = _required(connection, name, region)
            connection.execute(sql.delete(_keys).where(_keys.c.group_id == group.id))
            if key_arn:
                connection.execute(sql.insert(_keys).values(group_id=group.id, key_arn=key_arn))

    def make_stream(self, group: LogGroup, name: str, *, at: datetime) -> tuple[LogStream, bool]:
        """The stream of that name, and whether it was made. Raises NotFound for a group that is gone meanwhile."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            group = _required(connection, group.name, group.region)
            row = connection.execute(_of_group(group.id).where(_streams.c.name == name)).first()
            if row is not None:
                return _stream(row), False
            insert = sql.insert(_streams).values(group_id=group.id, name=name, created=at)
            made = connection.execute(insert).inserted_primary_key
            assert made is not None, "an inserted row has a key"
            return LogStream(id=int(made[0]), group_id=group.id, name=name, created=at), True

    def find_stream(self, name: str, stream: str, *, region: str) -> tuple[LogGroup, LogStream | None]:
        """The group, and its stream if there is such a one. Raises NotFound for the group."""
        with reading(self._engine) as connection:
            group = _required(connection, name, region)
            row = connection.execute(_of_group(group.id).where(_streams.c.name == stream)).first()
            return group, None if row is None else _stream(row)

    def streams(
        self,
        group: LogGroup,
        *,
        prefix: str = "",
        after: str | None = None,
        descending: bool = False,
        most: int | None = None,
    ) -> list[LogStream]:
        """Streams of a group by their names, behind `after`."""
        name = _streams.c.name
        query = _of_group(group.id).order_by(name.desc() if descending else name).limit(most)
        if prefix:
            query = query.where(_begins(name, prefix))
        if after is not None:
            query = query.where(name < after if descending else name > after)
        with reading(self._engine) as connection:
            return [_stream(row) for row in connection.execute(query)]

    def remove_stream(self, group: LogGroup, name: str) -> LogStream:
        """Forget a stream, whose files are to be removed. Raises ResourceNotFoundException."""
        with writing(self._engine) as connection:
            alone(connection, "log groups")
            row = connection.execute(_of_group(group.id).where(_streams.c.name == name)).first()
            if row is None:
                raise no_stream()
            connection.execute(sql.delete(_streams).where(_streams.c.id == row.id))
            return _stream(row)

    def folders(self) -> set[str]:
        """The folders of all streams."""
        with reading(self._engine) as connection:
            return {_stream(row).folder for row in connection.execute(sql.select(_streams))}


_SELECT_GROUPS = (
    sql.select(_groups, _retention.c.days, _keys.c.key_arn)
    .outerjoin(_retention, _retention.c.group_id == _groups.c.id)
    .outerjoin(_keys, _keys.c.group_id == _groups.c.id)
)


def no_stream() -> ServiceRefusal:
    """The refusal of a stream that is not there."""
    return ServiceRefusal("ResourceNotFoundException", "The specified log stream does not exist.", http_status=400)


def _named(name: str, region: str) -> sql.Select[tuple[object, ...]]:
    return _SELECT_GROUPS.where(_groups.c.region == region, _groups.c.name == name)


def _of_group(group_id: int) -> sql.Select[tuple[object, ...]]:
    return sql.select(_streams).where(_streams.c.group_id == group_id)


def _begins(name: sql.ColumnElement[str], prefix: str) -> sql.ColumnElement[bool]:
    # Not LIKE, which ignores case on SQLite.
    return sql.func.substr(name, 1, len(prefix)) == prefix


def _found(connection: Connection, name: str, region: str) -> LogGroup | None:
    row = connection.execute(_named(name, region)).first()
    return None if row is None else _group(row)


def _required(connection: Connection, name: str, region: str) -> LogGroup:
    found = _found(connection, name, region)
    if found is None:
        raise NotFound("The specified log group does not exist.")
    return found


def _group(row: sql.Row[tuple[object, ...]]) -> LogGroup:
    return LogGroup(
        id=row.id,
        region=row.region,
        name=row.name,
        created=row.created,
        retention_days=row.days,
        kms_key_arn=row.key_arn or "",
    )


def _stream(row: sql.Row[tuple[object, ...]]) -> LogStream:
    return LogStream(id=row.id, group_id=row.group_id, name=row.name, created=row.created)
