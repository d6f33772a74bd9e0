"""PostgreSQL as the database of records: one writer at a time, readers beside it, and nothing that waits for ever.

A write transaction takes one advisory lock before its first statement and holds it until it ends (docs/decisions/0009),
so whatever it reads stays true until it commits. A reader sees one snapshot and may not write. Each server, worker and
engine's supervisor that opens the same database is held by the same lock, on whichever machine it runs.
"""

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine, ExceptionContext

from outcrop.errors import MachineTrouble, Unavailable

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT_S = 30
"So long a writer waits for another one, as on SQLite."
STATEMENT_TIMEOUT_S = 300
"What takes longer is wrong; only the making of indexes for an older database's rows may."
IDLE_WRITER_S = 60
"A writer that says nothing for so long has died or hangs: the server ends it, and the next one writes."
_CONNECT_TIMEOUT_S = 10
_KEPT, _MORE = 8, 40
"""Connections of one process that stay open, and those beside them while many ask at once: together as many as the
server has threads."""
_WRITER_LOCK = 0x6F746372
"`otcr` in ASCII. Advisory locks are of one database, where other programs, and homes in other schemas, have theirs."
_IDLE_S, _INTERVAL_S, _COUNT = 10, 5, 3
_KEEPALIVE = {
    "keepalives_idle": _IDLE_S,
    "keepalives_interval": _INTERVAL_S,
    "keepalives_count": _COUNT,
    "tcp_user_timeout": 30_000,
}
"A server whose machine is gone is noticed within half a minute."
_OPTIONS = (
    f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout={STATEMENT_TIMEOUT_S}s "
    f"-c tcp_keepalives_idle={_IDLE_S} -c tcp_keepalives_interval={_INTERVAL_S} -c tcp_keepalives_count={_COUNT}"
)
"""The server asks as often after us: it would keep the session, and with it the locks, of a machine that lost its power
for two hours."""
# One statement for the lock and the time limit of who holds it: a way there and back less.
_BEGIN_WRITING = (
    f"SELECT pg_advisory_xact_lock({_WRITER_LOCK}, hashtext(coalesce(current_schema(), ''))), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE_WRITER_S}s', true)"
)


class DatabaseAway(Unavailable):
    """The database server cannot be reached, or has ended a connection; what it had committed is whole."""


class DatabaseBusy(Unavailable):
    """The database server gave a statement up that waited, or ran, for too long."""


def open_postgresql(address: sql.URL, to_json: Any) -> Engine:
    engine = sql.create_engine(
        address,
        json_serializer=to_json,
        connect_args=_connect_args(address),
        pool_pre_ping=True,
        pool_size=_KEPT,
        max_overflow=_MORE,
        pool_timeout=LOCK_TIMEOUT_S,
        pool_use_lifo=True,  # what few need is closed by nobody, but what nobody needs is left to the server's patience
    )
    sql.event.listen(engine, "begin", _begin)
    sql.event.listen(engine, "handle_error", _as_trouble)
    return engine


def connect(engine: Engine) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection of the driver's own in which each statement is a transaction. Raises DatabaseAway."""
    from psycopg import OperationalError

    _, parameters = engine.dialect.create_connect_args(engine.url)
    try:
        connection = engine.dialect.connect(**(dict(parameters) | _connect_args(engine.url)))
    except OperationalError as error:
        raise _away() from error
    found = cast("psycopg.Connection[tuple[Any, ...]]", connection)
    found.autocommit = True
    return found


def trouble(error: BaseException | None) -> MachineTrouble | None:
    """The trouble behind an error of the driver; None for one that is a defect, or expected."""
    from psycopg import InterfaceError, OperationalError, errors

    if isinstance(error, errors.LockNotAvailable | errors.QueryCanceled | errors.DeadlockDetected):
        return DatabaseBusy(
            "The database did not finish a statement in time: nothing of it was changed. Try again, and look at what "
            "else keeps the database server busy."
        )
    if isinstance(error, errors.DiskFull):
        return MachineTrouble("The disk of the database server is full: nothing was changed. Free some space there.")
    if isinstance(error, OperationalError | InterfaceError):
        return _away()
    if isinstance(error, errors.InvalidTransactionState | errors.IdleInTransactionSessionTimeout):
        return _away()
    return None


def _away() -> DatabaseAway:
    return DatabaseAway(
        "The database server does not answer. What it had acknowledged is kept; try again when it runs."
    )


def _connect_args(address: sql.URL) -> dict[str, Any]:
    """Settings of each connection. What the address says itself counts more."""
    given = address.query.get("options", "")
    options = " ".join([_OPTIONS, *((given,) if isinstance(given, str) else given)]).strip()
    defaults = {"application_name": "outcrop", "connect_timeout": _CONNECT_TIMEOUT_S, **_KEEPALIVE}
    return {name: value for name, value in defaults.items() if name not in address.query} | {"options": options}


def _begin(connection: Connection) -> None:
    """Set the mode of a transaction before its first statement, with which the driver begins it."""
    from psycopg import IsolationLevel

    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
    writes = bool(connection.get_execution_options().get("outcrop_writes", False))
    # Each statement of the only writer sees all that was committed; one snapshot would be older than its lock.
    level = IsolationLevel.READ_COMMITTED if writes else IsolationLevel.REPEATABLE_READ
    if driver.isolation_level is not level:
        driver.isolation_level = level
    if driver.read_only is writes or driver.read_only is None:
        driver.read_only = not writes
    if writes:
        connection.exec_driver_sql(_BEGIN_WRITING)


def _as_trouble(context: ExceptionContext) -> MachineTrouble | None:
    """The error that SQLAlchemy raises in the place of the driver's; None leaves it."""
    return None if context.is_pre_ping else trouble(context.original_exception)
