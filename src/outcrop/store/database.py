"""The database: one engine per process, SQLite in WAL mode by default, and how to read and write through it.

Server, workers and engines' supervisor open the same database at once, each with several threads. Use `reading(engine)`
for queries and `writing(engine)` for changes, never `engine.begin()`: only `writing` takes the lock of the one writer
(SQLite's own; in PostgreSQL an advisory one, see `postgresql.py`) at the first statement. Both join a transaction that
the same context (thread or task) already has open, so several rooms can change their tables together. Keep transactions
short; never wait for the network or a person inside one.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Dialect, Engine

from outcrop import private
from outcrop.errors import MachineTrouble
from outcrop.store import (
    dialects,  # noqa: F401 (how PostgreSQL makes tables)
    fence,
)
from outcrop.store.postgresql import DatabaseAway, open_postgresql

SCHEMA_VERSION = 2
"""1: until objects had versions and encryption. A program that knows 1 would sweep bytes that only a version names and
serve sealed bytes as they lie, so it refuses 2. A home of 1 becomes one of 2: rooms add what they lack."""
BUSY_TIMEOUT_S = 30

_SECRETS = {
    "password": "Write it behind the user (postgresql://user:password@host/name), or into a file that passfile names.",
    "sslpassword": "Leave it out, and give a key without a passphrase that only Outcrop's user can read.",
}
"Parameters of PostgreSQL's library that are secrets, and where they belong."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_schema = sql.MetaData()
_versions = sql.Table(
    "schema_version",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("version", sql.Integer, nullable=False),
)

# The open write transactions of this thread or task, by engine. A context variable, and not an argument through every
# room, because who composes a transaction (a request) stands far above who writes a row of it.
_open_writes: ContextVar[dict[int, Connection] | None] = ContextVar("outcrop_open_writes", default=None)


class DiskFull(MachineTrouble):
    """The disk that holds the home has no room left; what was stored before is whole."""


class UtcTime(sql.types.TypeDecorator[datetime]):
    """An aware moment, stored as integer microseconds since 1970: exact, and sorts alike in every database."""

    impl = sql.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else moment(value)


def microseconds(at: datetime) -> int:
    assert at.tzinfo is not None, "a moment without a time zone cannot be stored"
    return (at - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    return _EPOCH + count * _MICROSECOND


def open_database(url: str) -> Engine:
    """The engine for `url`, its folder and schema version made if new.

    Raises MachineTrouble when the database cannot be opened, or was written by a newer Outcrop, and for a password in
    the query of `url`.
    """
    try:
        address = sql.make_url(url)
        _check_query(address)
        kind = address.get_backend_name()
        if kind == "sqlite":
            engine = _open_sqlite(address)
        elif kind in ("postgresql", "postgres"):
            engine = open_postgresql(address.set(drivername="postgresql+psycopg"), _to_json)
        else:
            address.get_dialect()  # a word that nobody knows
            raise MachineTrouble(
                f"OUTCROP_DATABASE_URL: records are not kept in {kind}. Give postgresql://user@host/name, or unset it "
                "for SQLite in the home."
            )
        fence.watch(engine)
        create_tables(engine, _schema)
        _check_version(engine)
    except sql.exc.DBAPIError as error:
        raise _unusable(_place(address), error.orig) from error
    except DatabaseAway as error:
        raise _unusable(_place(address), error.__cause__) from error
    except ImportError as error:
        raise MachineTrouble(
            f"OUTCROP_DATABASE_URL: its driver is not installed ({error}). For PostgreSQL, install outcrop[postgres]."
        ) from error
    except sql.exc.SQLAlchemyError as error:
        # An address that names no database: it may hold a password, and is not repeated.
        raise MachineTrouble(
            f"OUTCROP_DATABASE_URL: no database can be opened at it ({error}). Give a URL such as "
            "postgresql+psycopg://user@host/name, or unset it for SQLite in the home."
        ) from error
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries: one snapshot, or the transaction that this context has open."""
    open_write = (_open_writes.get() or {}).get(id(engine))
    if open_write is not None:
        yield open_write
        return
    with engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction: committed at the end, rolled back on an exception; joins one that is open already.

    No other process or thread is inside a `writing` of the same database at the same time: what was read in it is true
    until it ends.
    """
    open_writes = _open_writes.get() or {}
    if id(engine) in open_writes:
        yield open_writes[id(engine)]
        return
    # The option is set on the connection: an engine with options of its own costs more to make than such a transaction.
    with (
        _full_disk_named(),
        engine.connect() as connection,
        connection.execution_options(outcrop_writes=True).begin(),
    ):
        token = _open_writes.set({**open_writes, id(engine): connection})
        try:
            yield connection
        finally:
            _open_writes.reset(token)


def is_writing(engine: Engine) -> bool:
    """Whether this context is inside a `writing` of this database: it then sees what nobody else sees yet."""
    return id(engine) in (_open_writes.get() or {})


def alone(connection: Connection, name: str) -> None:
    """Say that what follows relies on being the only writer, and what of: `name`. Every `writing` is."""
    assert connection.get_execution_options().get("outcrop_writes"), f"{name}: only inside of `writing`"


def create_tables(engine: Engine, metadata: sql.MetaData) -> None:
    """Make the tables, columns and indexes of `metadata` that are missing; several processes may do so at once.

    Where none is missing, nothing waits for the write lock: the room that is opened may be one that the holder of that
    lock needs.
    """
    if _has_all(engine, metadata):
        return
    with writing(engine) as connection:
        metadata.create_all(connection)
        for table in metadata.tables.values():  # a database of an older Outcrop has the table without them
            _add_columns(connection, table)
            for index in table.indexes:
                connection.execute(sql.schema.CreateIndex(index, if_not_exists=True))


def _add_columns(connection: Connection, table: sql.Table) -> None:
    """Add what a later Outcrop knows of each row; the rows that are there have nothing in it."""
    present = {column["name"] for column in sql.inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in present:
            assert column.nullable, f"{table.name}.{column.name} is new: the rows that are there have no value for it"
            definition = sql.schema.CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(sql.text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))


_HERE = "relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
_NAMES = {
    "sqlite": "SELECT name FROM sqlite_master",
    "postgresql": f"SELECT relname FROM pg_class WHERE {_HERE}",
}
_COLUMNS = {
    "sqlite": "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'",
    "postgresql": "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
    f"WHERE c.relkind = 'r' AND c.{_HERE}",
}


def _has_all(engine: Engine, metadata: sql.MetaData) -> bool:
    """Whether the database has all tables, columns and indexes."""
    with reading(engine) as connection:
        found = set(connection.execute(sql.text(_NAMES[engine.dialect.name])).scalars())
        tables = metadata.tables.values()
        wanted = {table.name for table in tables} | {str(index.name) for table in tables for index in table.indexes}
        if not wanted <= found:
            return False
        columns = connection.execute(sql.text(_COLUMNS[engine.dialect.name]))
        present = {(table, column) for table, column in columns}
    return {(table.name, column.name) for table in tables for column in table.columns} <= present


def _open_sqlite(address: sql.URL) -> Engine:
    if address.database in (None, "", ":memory:"):
        raise MachineTrouble(
            "OUTCROP_DATABASE_URL: SQLite needs a file that several processes can open. Write sqlite:////path/to/file, "
            "or unset it for a file in the home."
        )
    file = Path(str(address.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Closed to others from its first moment; SQLite gives the files beside it the same mode. Never one that is
        # there: closing any descriptor of a file takes away the locks that SQLite holds on it in this process.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(PermissionError):  # another user's, who shares it
            private.close_to_others(file)
        _switch_to_wal(file)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(str(file), error) from error
    engine = sql.create_engine(
        address, json_serializer=_to_json, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=8, max_overflow=64
    )
    sql.event.listen(engine, "connect", _prepare_connection)
    sql.event.listen(engine, "begin", _begin)
    return engine


def _check_query(address: sql.URL) -> None:
    """Raises MachineTrouble for a secret where it would be shown, and noted in the home, with the address."""
    for name in address.query:
        mend = _SECRETS.get(name.lower())
        if mend is not None:
            raise MachineTrouble(
                f"OUTCROP_DATABASE_URL: {name} stands in its query, where it would be shown with the address. {mend}"
            )


def _place(address: sql.URL) -> str:
    """The address without its password, or the name alone of a database on this machine."""
    return address.render_as_string() if address.host else str(address.database)


def _unusable(place: str, error: BaseException | None) -> MachineTrouble:
    said = " ".join(str(error).split())
    if "malformed" in said or "not a database" in said or "corrupt" in said:
        mend = "The file is damaged: put it back from a backup of this home, or start with another home (--home)."
    elif "disk is full" in said:
        mend = "Free some space and try again."
    elif isinstance(error, sqlite3.Error | OSError):
        mend = "Make the folder and the file writable, or choose another home."
    else:
        mend = "See that the database server runs and lets this user in, or unset OUTCROP_DATABASE_URL."
    return MachineTrouble(f"{place}: the database cannot be opened ({said}). {mend}")


def _switch_to_wal(file: Path) -> None:
    # The mode stays with the file. The switch needs the file alone and does not wait for it as other statements do, so
    # of two processes that make a new database at the same time one may be told "locked" and must ask again.
    for attempts_left in range(100, 0, -1):
        connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempts_left == 1:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 then begins nothing by itself; `_begin` does
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL: a commit is on the disk before it is acknowledged, also when the power fails. NORMAL would survive the
    # death of the process only.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails at once when another writer came between, without
    # waiting. Writers therefore take the lock at the start, where SQLite does wait for its turn.
    writes = connection.get_execution_options().get("outcrop_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _full_disk_named() -> Iterator[None]:
    try:
        yield
    except (sql.exc.OperationalError, sqlite3.OperationalError) as error:  # the driver's: see `prepared.py`
        if "disk is full" in str(error):
            raise DiskFull("The disk is full: nothing was changed. Free some space and try again.") from error
        raise


def _check_version(engine: Engine) -> None:
    with writing(engine) as connection:
        found = connection.execute(sql.select(_versions.c.version)).scalar()
        if found is None:
            connection.execute(sql.insert(_versions).values(id=1, version=SCHEMA_VERSION))
        elif found < SCHEMA_VERSION:
            connection.execute(sql.update(_versions).values(version=SCHEMA_VERSION))
        elif found > SCHEMA_VERSION:
            raise MachineTrouble(
                f"{engine.url.render_as_string()}: written by a newer Outcrop (schema {found}; this program knows "
                f"up to {SCHEMA_VERSION}). Start that version, or choose another home."
            )


def _to_json(value: Any) -> str:
    return _JSON.encode(value)
