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
_MANY = ("max_connections=400",)
_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", *_MANY)
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


class PostgresServer:
    """A server that can be ended and started again; its data lie in a folder of its own."""

    def __init__(self, programs: Path, *, durable: bool = False) -> None:
        """`durable`: what it commits is on the disk."""
        # Not in pytest's folder, which belongs to root: and a Unix socket's path may have only about 100 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="outcrop-pg-"))
        self._programs = programs
        self._options = [part for option in (_MANY if durable else _QUICK) for part in ("-c", option)]
        self._as_user: dict[str, Any] = {"cwd": self._folder}
        user = pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            user, entry = _USER, pwd.getpwnam(_USER)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
            self._as_user |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self._data = self._folder / "data"
        initdb: list[str | Path] = [programs / "initdb", "-D", self._data, "-U", user, "--auth=trust", "--no-sync"]
        subprocess.run([*initdb, *_ENCODING], check=True, capture_output=True, **self._as_user)
        query = {"host": str(self._folder)}
        self.url = sql.URL.create("postgresql+psycopg", username=user, database="postgres", query=query)
        "Of the first database, in which the user may do everything."

    def start(self) -> None:
        command: list[str | Path] = [
            self._programs / "postgres",
            "-D",
            self._data,
            "-k",
            self._folder,
            "-h",
            "",
            *self._options,
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_user)
        eventually(lambda: _answers(self.url) or self._process.poll() is not None)
        assert self._process.poll() is None, (self._folder / "log").read_text()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)  # ends the connections that are open
        self._process.wait(timeout=PATIENCE_S)

    def remove(self) -> None:
        shutil.rmtree(self._folder)


@contextmanager
def running_postgres(programs: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    server = PostgresServer(programs, durable=durable)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        server.remove()


@contextmanager
def postgres_server(programs: Path, *, durable: bool = False) -> Iterator[sql.URL]:
    """The URL of its first database, in which the user may do everything."""
    with running_postgres(programs, durable=durable) as server:
        yield server.url


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
