"""Knowledge bases in PostgreSQL: the index in a schema of Outcrop's own, and copies in the table that Bedrock fills."""

from pathlib import Path

import sqlalchemy as sql

from outcrop.errors import MachineTrouble
from outcrop.knowledge.index import postgres
from outcrop.knowledge.index.postgres import PostgresIndex, connected
from outcrop.knowledge.stores.addresses import postgres_url
from outcrop.knowledge.stores.configuration import OUR_SCHEMAS, PostgresPlace
from outcrop.knowledge.stores.copied_index import CopiedIndex, StoreUnreachable, telling
from outcrop.knowledge.stores.postgres_table import PostgresTable
from outcrop.store.postgresql import DatabaseAway


def check(home: Path, place: PostgresPlace, *, dimensions: int | None) -> None:
    """Raises Invalid or MachineTrouble for a place that holds no such knowledge base."""
    _table(home, place, dimensions).close()


def open_index(home: Path, place: PostgresPlace, *, name: str, dimensions: int | None) -> CopiedIndex:
    """The index of the knowledge base with this id. Raises Invalid, MachineTrouble."""
    table = _table(home, place, dimensions)
    try:
        with telling(lambda error: _told(error, place)):
            index = PostgresIndex(postgres_url(home, place), namespace=_schema(name), dimensions=dimensions)
    except BaseException:
        table.close()
        raise
    return CopiedIndex(index, table, lambda error: _told(error, place))


def drop(home: Path, place: PostgresPlace, *, name: str) -> None:
    """Take out the schema of a knowledge base. Raises MachineTrouble."""
    with telling(lambda error: _told(error, place)):
        postgres.drop(postgres_url(home, place), namespace=_schema(name))


def _table(home: Path, place: PostgresPlace, dimensions: int | None) -> PostgresTable:
    with telling(lambda error: _told(error, place)):
        engine = connected(postgres_url(home, place))
        try:
            return PostgresTable(engine, place, dimensions=dimensions)
        except BaseException:
            engine.dispose()
            raise


def _schema(name: str) -> str:
    return f"{OUR_SCHEMAS}{name.lower()}"


def _told(error: Exception, place: PostgresPlace) -> Exception:
    """An error of the database for its user, who need not know its host and login."""
    if isinstance(error, MachineTrouble) and isinstance(error.__cause__, sql.exc.SQLAlchemyError | DatabaseAway):
        error = error.__cause__
    at = f"{place.cluster_arn}: the PostgreSQL database {place.database}"
    if isinstance(error, ImportError):
        return MachineTrouble(f"{at} needs a driver that is not installed. Install outcrop[postgres].")
    if isinstance(error, sql.exc.OperationalError | sql.exc.InterfaceError | DatabaseAway):
        return StoreUnreachable(
            f"{at} does not answer, or lets Outcrop not in. See that it runs and that its address is right, and send "
            "the request again; the log has what the driver said."
        )
    if isinstance(error, sql.exc.DBAPIError):
        said = str(error.orig).partition("\n")[0]
        return StoreUnreachable(f"{at} refuses what it is asked ({said}). Mend the table {place.table}, or its rights.")
    return error
