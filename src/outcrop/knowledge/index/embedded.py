"""The embedded index: one SQLite file for each knowledge base."""

from pathlib import Path

from outcrop.knowledge.index.snapshot_keeper import SnapshotKeeper
from outcrop.knowledge.index.sql_storage import SqlStorage
from outcrop.knowledge.index.stored_index import StoredIndex
from outcrop.store.database import open_database

FILE = "passages.db"


class EmbeddedIndex(StoredIndex):
    """A `PassageIndex` in a folder, which is made if new."""

    def __init__(self, folder: Path, *, dimensions: int | None) -> None:
        """`dimensions`: the width of the vectors; None for the lexical arm alone.

        Raises Invalid where the folder's index has another width, MachineTrouble where it cannot be opened.
        """
        storage = SqlStorage(open_database(f"sqlite:///{folder / FILE}"), dimensions=dimensions)
        super().__init__(storage, SnapshotKeeper(folder, storage))
