"""Every home that says nothing of a database gets one of its own in the tests' PostgreSQL server.

Python imports the module `sitecustomize` beside this one at the start of each process, for the folder is in the
environment's PYTHONPATH: so servers, workers and commands that a test starts find the database of their home, too.
"""

import hashlib
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

SERVER = "OUTCROP_TEST_DATABASE_SERVER"
"The environment variable with the URL of the server's first database."
_PREFIX = "home_"


def install() -> None:
    """Let this process find the databases of homes."""
    from outcrop.settings import Settings

    as_given = Settings.__init__

    def with_database(self: Settings, **given: Any) -> None:
        as_given(self, **given)
        if not self.database_url:
            object.__setattr__(self, "database_url", url_of(self.home))

    Settings.__init__ = with_database  # type: ignore[method-assign]


def url_of(home: Path) -> str:
    """The URL of the home's database, which is made when it is first asked for."""
    return _made(os.environ[SERVER], _PREFIX + hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:32])


def names() -> set[str]:
    """The databases of homes that there are."""
    with _connected(os.environ[SERVER]) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [_PREFIX])
        return {name for (name,) in found}


def drop(databases: set[str]) -> None:
    """Remove databases with whoever still uses them."""
    with _connected(os.environ[SERVER]) as connection:
        for name in databases:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _made.cache_clear()


@cache
def _made(server: str, name: str) -> str:
    import psycopg
    import sqlalchemy as sql

    with _connected(server) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            # Another process may be making it at this moment.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    return sql.make_url(server).set(database=name).render_as_string(hide_password=False)


def _connected(server: str) -> Any:
    import psycopg
    import sqlalchemy as sql

    url = sql.make_url(server)
    return psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=str(url.database), autocommit=True)
