"""Files of vectors: whole changes, what stops one, and who else has the file open."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.errors import MachineTrouble, NotReady
from outcrop.store.database import DiskFull
from outcrop.vectors import index_file
from outcrop.vectors.index_file import IndexFile, arn_in
from outcrop.vectors.records import PutVector

VALUES = bytes(4 * 256)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[IndexFile]:
    made = IndexFile.make(tmp_path / "vectors" / "index.sqlite", "arn:one")
    yield made
    made.close()


def keys(file: IndexFile) -> list[str]:
    found, _ = file.page(after=0, most=10_000, most_bytes=1 << 30, segment=(1, 0), data=False, metadata=False)
    return [vector.key for vector in found]


def vectors(first: int, count: int) -> list[PutVector]:
    return [PutVector(f"{number}", VALUES, "") for number in range(first, first + count)]


def test_a_file_says_for_which_index_it_was_made(file: IndexFile, tmp_path: Path) -> None:
    assert arn_in(file.path) == "arn:one"
    (tmp_path / "other").write_bytes(b"x" * 5000)
    assert arn_in(tmp_path / "other") is None


def test_a_put_that_fails_in_the_middle_leaves_all_as_it_was(file: IndexFile) -> None:
    file.put(vectors(0, 2))
    with pytest.raises(MachineTrouble, match="the vectors of arn:one cannot be used"):
        file.put([*vectors(1, 5), PutVector("bad", None, "")])  # type: ignore[arg-type]
    assert keys(file) == ["0", "1"]
    with file.reading() as snapshot:
        assert snapshot.state() == (1, 0, 2)


def test_a_full_disk_is_told_and_harms_nothing(file: IndexFile) -> None:
    file.put(vectors(0, 2))
    (connection,) = file._idle
    connection.execute("PRAGMA max_page_count = 12")
    with pytest.raises(DiskFull, match="the disk is full"):
        file.put(vectors(2, 500))
    assert keys(file) == ["0", "1"]
    file.put(vectors(2, 500))
    assert len(keys(file)) == 502


def test_a_writer_that_waited_for_too_long_is_told_to_come_again(
    file: IndexFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_file, "_BUSY_S", 0.05)
    file.close()
    again = IndexFile(file.path, "arn:one")
    with sqlite3.connect(file.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotReady, match="arn:one: others were writing"):
            again.put(vectors(0, 1))
        assert keys(again) == []  # readers do not wait
        other.execute("ROLLBACK")
    again.put(vectors(0, 1))
    assert keys(again) == ["0"]


def test_two_writers_of_one_file_lose_nothing(file: IndexFile) -> None:
    other = IndexFile(file.path, "arn:one")

    def write(writer: IndexFile, first: int) -> None:
        for number in range(first, first + 50, 5):
            writer.put(vectors(number, 5))
            writer.remove([f"{number}"])

    threads = [threading.Thread(target=write, args=(each, place * 50)) for place, each in enumerate((file, other) * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, keys(file))) == [number for number in range(200) if number % 5]
    with other.reading() as snapshot:
        assert snapshot.state() == (80, 0, 160)


def test_a_reader_sees_one_state_whatever_is_written_meanwhile(file: IndexFile) -> None:
    file.put(vectors(0, 3))
    with file.reading() as snapshot:
        file.remove(["0", "1"])
        file.put(vectors(7, 1))
        assert [row[1] for rows in snapshot.vectors_since(0) for row in rows] == ["0", "1", "2"]
        assert snapshot.removed_since(0) == []
    assert keys(file) == ["2", "7"]
