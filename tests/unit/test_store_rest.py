"""SQLite as it is opened, the schema version, and the files named by their content."""

import errno
import fcntl
import hashlib
import mmap
import os
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.errors import MachineTrouble
from outcrop.settings import Settings
from outcrop.store.database import DiskFull, open_database, reading
from outcrop.store.objects import IncomingFile, ObjectFiles
from outcrop.store.store import Store

NOW = datetime(2026, 5, 4, tzinfo=UTC)
FULL = Path("/dev/full")
LENGTHS = (0, 1, 511, 4095, 4096, 4097, 65_536, 300_000, 1024**2 - 1, 1024**2, 1024**2 + 4097)
"Of pieces, around a disk's block and around what passes the cache at once."
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
        MachineTrouble, match=r"written by a newer Outcrop \(schema 99; this program knows up to 1\)\. Start"
    ):
        open_database(url)


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


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from(LENGTHS), max_size=6), max_size=8))
def test_what_passes_the_cache_is_what_was_written(writes: list[list[int]]) -> None:
    drawn = random.Random(0)
    contents = [[drawn.randbytes(length) for length in lengths] for lengths in writes]
    with TemporaryDirectory() as folder, ObjectFiles(Path(folder)).incoming(passing=True) as incoming:
        for pieces in contents:
            incoming.write(*pieces)
        incoming.settle()
        everything = b"".join(piece for pieces in contents for piece in pieces)
        assert incoming.size == len(everything)
        assert incoming.path.read_bytes() == everything


class Grudging(FileIO):
    """A file on a disk that takes little at a time, or refuses with `error` what passes the cache."""

    def __init__(self, path: Path, *, most: int | None = None, error: int | None = None) -> None:
        super().__init__(path, "xb")
        self._most = most
        self._error = error
        self.refused = 0

    @property
    def passes(self) -> bool:
        return bool(fcntl.fcntl(self, fcntl.F_GETFL) & os.O_DIRECT)

    def write(self, data: Any, /) -> int:
        if self._error is not None and self.passes:
            self.refused += 1
            raise OSError(self._error, os.strerror(self._error))
        return super().write(data[: self._most])


@pytest.fixture
def let(tmp_path: Path) -> None:
    """Skips where the file system has no way past its cache."""
    if not hasattr(os, "O_DIRECT"):
        pytest.skip("this system has no way past its cache")
    try:
        descriptor = os.open(tmp_path / "probe", os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
    except OSError as error:
        pytest.skip(f"this file system has no way past its cache: {error}")
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(mmap.mmap(-1, 4096))


DATA = random.Random(1).randbytes(3_000_001)


def write_data(incoming: IncomingFile) -> None:
    for offset in range(0, len(DATA), 300_000):
        incoming.write(DATA[offset : offset + 100_000], DATA[offset + 100_000 : offset + 300_000])


@pytest.mark.usefixtures("let")
@pytest.mark.parametrize("most", [None, 4096, 12288])
def test_it_passes_the_cache_to_the_end(most: int | None, tmp_path: Path) -> None:
    with Grudging(tmp_path / "file", most=most) as file:
        incoming = IncomingFile(tmp_path / "file", file, passing=True)
        write_data(incoming)
        assert file.passes
        incoming.settle()
    assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.usefixtures("let")
@pytest.mark.parametrize("error", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_disk_that_does_not_let_pass_gets_all_of_it(error: int, tmp_path: Path) -> None:
    with Grudging(tmp_path / "file", error=error) as file:
        incoming = IncomingFile(tmp_path / "file", file, passing=True)
        write_data(incoming)
        assert not file.passes
        incoming.settle()
    assert (tmp_path / "file").read_bytes() == DATA
    assert file.refused == 1  # after that nothing tries to pass


@pytest.mark.usefixtures("let")
def test_a_disk_that_takes_parts_of_blocks_gets_all_of_it(tmp_path: Path) -> None:
    with Grudging(tmp_path / "file", most=100_001) as file:
        incoming = IncomingFile(tmp_path / "file", file, passing=True)
        write_data(incoming)
        incoming.settle()
    assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.usefixtures("let")
def test_a_full_disk_is_named_where_the_cache_is_passed(tmp_path: Path) -> None:
    with Grudging(tmp_path / "file", error=errno.ENOSPC) as file:
        incoming = IncomingFile(tmp_path / "file", file, passing=True)
        with pytest.raises(DiskFull, match="The disk is full: nothing was stored"):
            incoming.write(DATA)


def test_a_file_that_takes_nothing_is_no_endless_wait(tmp_path: Path) -> None:
    with Grudging(tmp_path / "file", most=0) as file:
        incoming = IncomingFile(tmp_path / "file", file)
        with pytest.raises(OSError, match="takes no more bytes"):
            incoming.write(b"a")


def test_an_unfinished_file_that_passes_the_cache_leaves_nothing(tmp_path: Path) -> None:
    with ObjectFiles(tmp_path).incoming(passing=True) as incoming:
        incoming.write(bytes(10_000))

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_other_troubles_of_the_disk_keep_their_own_name(tmp_path: Path) -> None:
    files = ObjectFiles(tmp_path)
    with pytest.raises(OSError, match="Input/output error") as raised, files.incoming():
        raise OSError(errno.EIO, "Input/output error")

    assert raised.value.errno == errno.EIO
