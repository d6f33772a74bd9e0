"""SQLite as it is opened, the schema version, and the files named by their content."""

import errno
import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import MachineTrouble
from outcrop.settings import Settings
from outcrop.store.database import DiskFull, open_database, reading
from outcrop.store.objects import IncomingFile, ObjectFiles
from outcrop.store.store import Store

NOW = datetime(2026, 5, 4, tzinfo=UTC)
FULL = Path("/dev/full")
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/a"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


def test_the_database_is_in_wal_mode_and_flushes_every_commit(store: Store) -> None:
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_database_of_a_newer_outcrop_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'outcrop.db'}"
    open_database(url).dispose()
    with sqlite3.connect(tmp_path / "outcrop.db") as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    connection.close()

    with pytest.raises(
        MachineTrouble, match=r"written by a newer Outcrop \(schema 99; this program knows up to 2\)\. Start"
    ):
        open_database(url)


def test_a_database_of_an_older_outcrop_becomes_one_that_it_refuses(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'outcrop.db'}"
    open_database(url).dispose()
    for version in (1, 2):
        with sqlite3.connect(tmp_path / "outcrop.db") as connection:
            connection.execute("UPDATE schema_version SET version = ?", (version,))
        connection.close()
        open_database(url).dispose()
        with sqlite3.connect(tmp_path / "outcrop.db") as connection:
            assert connection.execute("SELECT version FROM schema_version").fetchone() == (2,)
        connection.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "outcrop.db").write_text("this is no database, but a letter to my aunt " * 9)

    with pytest.raises(MachineTrouble, match=r"outcrop\.db: the database cannot be opened"):
        Store.open(Settings(home=tmp_path))


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")

    with pytest.raises(MachineTrouble, match="the home is a folder, and something else has this name"):
        Store.open(Settings(home=tmp_path / "home"))


def test_a_kept_file_is_found_by_its_digest(tmp_path: Path) -> None:
    files = ObjectFiles(tmp_path)
    with files.incoming() as incoming:
        incoming.write(b"hello ")
        incoming.write(b"world")
        incoming.settle()
        digest = hashlib.sha256(b"hello world").hexdigest()
        files.keep(incoming, digest)

    assert files.path(digest).read_bytes() == b"hello world"
    assert [path.name for path in files.kept()] == [digest]
    assert list(files.unfinished()) == []
    files.remove(digest)
    files.remove(digest)
    assert list(files.kept()) == []


def test_a_file_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with ObjectFiles(tmp_path).incoming() as incoming:
        incoming.write(b"half")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named() -> None:
    with FULL.open("wb", buffering=0) as full:
        incoming = IncomingFile(FULL, full)

        with pytest.raises(DiskFull, match="The disk is full: nothing was stored"):
            incoming.write(b"one byte too many")


class Grudging(FileIO):
    """A file on a disk that takes little at a time."""

    def __init__(self, path: Path, *, most: int) -> None:
        super().__init__(path, "xb")
        self._most = most

    def write(self, data: Any, /) -> int:
        return super().write(data[: self._most])


def test_a_disk_that_takes_parts_gets_all_of_it(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8
    with Grudging(tmp_path / "file", most=1001) as file:
        incoming = IncomingFile(tmp_path / "file", file)
        incoming.write(data[:5], data[5:])
        incoming.settle()
    assert (tmp_path / "file").read_bytes() == data
    assert incoming.size == len(data)


def test_a_file_that_takes_nothing_is_no_endless_wait(tmp_path: Path) -> None:
    with Grudging(tmp_path / "file", most=0) as file:
        incoming = IncomingFile(tmp_path / "file", file)
        with pytest.raises(OSError, match="takes no more bytes"):
            incoming.write(b"a")


def test_other_troubles_of_the_disk_keep_their_own_name(tmp_path: Path) -> None:
    files = ObjectFiles(tmp_path)
    with pytest.raises(OSError, match="Input/output error") as raised, files.incoming():
        raise OSError(errno.EIO, "Input/output error")

    assert raised.value.errno == errno.EIO
