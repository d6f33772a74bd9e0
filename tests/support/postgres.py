"""A PostgreSQL server of the test's own, from Debian's package: an ordinary user's, on a Unix socket, with no password."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sql

from tests.support.patience import PATIENCE_S, eventually

_USER = "nobody"
"Whoever is root is not let in by initdb and postgres."
_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")
"Nothing has to outlive the test."
_ENCODING = ("--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8")
"Letters in the order of English, as on most servers: what relies on another order is found out."


def programs() -> Path | None:
    """The folder of initdb and postgres; None where they are not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return debian[-1].parent if debian else None


@contextmanager
def postgres_server(programs: Path) -> Iterator[sql.URL]:
    """The URL of its first database, in which the user may do everything."""
    # Not in pytest's folder, which belongs to root: and the path of a Unix socket may have only about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="outcrop-pg-"))
    as_user: dict[str, Any] = {"cwd": folder}
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        user, entry = _USER, pwd.getpwnam(_USER)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        as_user |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    data = folder / "data"
    initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", user, "--auth=trust", "--no-sync", *_ENCODING]
    subprocess.run(initdb, check=True, capture_output=True, **as_user)
    options = [part for option in _QUICK for part in ("-c", option)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, "-h", "", *options], stdout=log, stderr=log, **as_user
        )
    try:
        url = sql.URL.create("postgresql+psycopg", username=user, database="postgres", query={"host": str(folder)})
        eventually(lambda: _answers(url) or server.poll() is not None)
        assert server.poll() is None, (folder / "log").read_text()
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # ends the connections that are open
        server.wait(timeout=PATIENCE_S)
        shutil.rmtree(folder)


def new_database(server: sql.URL, name: str) -> sql.URL:
    """An empty database."""
    with _connection(server) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    return server.set(database=name)


def _connection(url: sql.URL) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=str(url.database), autocommit=True)


def _answers(url: sql.URL) -> bool:
    try:
        _connection(url).close()
    except psycopg.OperationalError:
        return False
    return True
