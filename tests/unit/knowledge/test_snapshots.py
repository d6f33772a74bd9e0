"""Snapshots of an index: the next process finds the same without reading all of it, and never what is not there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outcrop.knowledge import filters
from outcrop.knowledge.index import searched_rows
from outcrop.knowledge.index.embedded import FILE as DATABASE
from outcrop.knowledge.index.snapshot_keeper import FILE, SnapshotKeeper
from outcrop.knowledge.index.sql_storage import SqlStorage
from outcrop.knowledge.index.stored_index import StoredIndex
from outcrop.knowledge.passage_index import SearchQuery
from outcrop.knowledge.passages import MetadataValue
from outcrop.store.database import open_database
from tests.support.passages import document, key

Open = Callable[[], StoredIndex]
TEXTS = ("Brokers register.", "Dealers report trades.", "梅雨は雨季の一種である。")
VECTORS = ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8])


@pytest.fixture
def open_index(tmp_path: Path) -> Iterator[Open]:
    """Opens the index as each new process would; few rows are worth a snapshot."""
    opened: list[StoredIndex] = []

    def opening() -> StoredIndex:
        storage = SqlStorage(open_database(f"sqlite:///{tmp_path / DATABASE}"), dimensions=2)
        opened.append(StoredIndex(storage, SnapshotKeeper(tmp_path, storage, fewest=1)))
        return opened[-1]

    yield opening
    for index in opened:
        index.close()


@pytest.fixture
def kept(open_index: Open, tmp_path: Path) -> Path:
    """The snapshot that a process has left which is closed."""
    index = open_index()
    for number in range(4):
        metadata: dict[str, MetadataValue] = {"year": 2020 + number, "topics": ("trades", "rules")}
        index.put(document(f"d{number}", TEXTS, metadata=metadata, vectors=VECTORS, pages=[1, None, 3]))
    index.remove([key("d3")])
    assert answers(index)
    index.close()
    return tmp_path / FILE


def replace(file: Path, content: bytes) -> None:
    """Give a file another content; whoever has mapped it keeps the old one."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def answers(index: StoredIndex) -> list[object]:
    """The answers to several questions, with all that is told."""
    newer = filters.read({"greaterThan": {"key": "year", "value": 2020}}, at="filter")
    one = filters.read({"equals": {"key": "x-amz-bedrock-kb-chunk-id", "value": "d1-1"}}, at="filter")
    queries = (
        SearchQuery(text="trades of brokers", most=20),
        SearchQuery(text="雨季", most=20, vector=[0.6, 0.8]),
        SearchQuery(text="register", most=20, filter=newer),
        SearchQuery(text="trades", most=20, filter=one, vector=[0.0, 1.0]),
    )
    return [index.search(query) for query in queries]


def test_another_process_finds_the_same_and_reads_what_has_changed_alone(
    open_index: Open, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.stat().st_mode & 0o077 == 0
    writer = open_index()
    writer.put(document("d4", ["Advisers register."], vectors=[[1.0, 0.0]]))
    writer.remove([key("d0")])
    kept_as = kept.read_bytes()
    kept.unlink()
    told = answers(open_index())
    replace(kept, kept_as)

    with monkeypatch.context() as forbidding:
        forbidding.setattr(searched_rows, "read_all", None)
        assert answers(open_index()) == told


def test_a_snapshot_of_a_database_that_a_backup_has_replaced_is_not_read(
    open_index: Open, kept: Path, tmp_path: Path
) -> None:
    # Given a backup from before the snapshot, put back, and as many other changes since
    with_snapshot = kept.read_bytes()
    (tmp_path / DATABASE).unlink()
    for ending in ("-wal", "-shm"):
        (tmp_path / f"{DATABASE}{ending}").unlink(missing_ok=True)
    index = open_index()
    for number in range(9):
        index.put(document(f"e{number}", ["Nobody may."], vectors=[[1.0, 0.0]]))
    index.close()
    replace(kept, with_snapshot)
    # Then the passages of the snapshot are not found
    found = open_index().search(SearchQuery(text="brokers register nobody", most=20))
    assert {each.text for each in found} == {"Nobody may."}


@pytest.mark.parametrize("damage", ["cut", "empty", "head", "line", "longer"])
def test_a_damaged_snapshot_is_as_none(open_index: Open, kept: Path, damage: str) -> None:
    told, whole = answers(open_index()), kept.read_bytes()
    damaged = {
        "cut": whole[:-100],
        "empty": b"",
        "head": b"no snapshot at all, but long enough for one",
        "line": whole[:200] + b"x" + whole[201:],
        "longer": whole + b"x",
    }
    replace(kept, damaged[damage])
    assert answers(open_index()) == told


def test_a_snapshot_is_taken_anew_when_much_has_changed(open_index: Open, kept: Path) -> None:
    before = kept.read_bytes()
    index = open_index()
    assert answers(index)
    index.close()
    assert kept.read_bytes() == before, "nothing has changed"
    index = open_index()
    index.put(document("d5", TEXTS, vectors=VECTORS))
    told = answers(index)
    index.close()
    assert kept.read_bytes() != before
    assert answers(open_index()) == told
    assert [each.name for each in kept.parent.iterdir() if each.name.startswith(".")] == []
