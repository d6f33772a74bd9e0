"""The keeping of snapshots: when one is worth its writing, and the thread that writes it beside the searches."""

import logging
import threading
from pathlib import Path

from outcrop.knowledge.index import snapshot_file
from outcrop.knowledge.index.searched_rows import SearchedRows
from outcrop.knowledge.index.snapshot_file import RowSnapshot
from outcrop.knowledge.index.sql_storage import SqlStorage
from outcrop.loops import contained

FILE = "searched.snapshot"
FEWEST = 5_000
"Rows that are worth a snapshot; fewer are read in a moment."
_SHARE = 4
"One of so many rows has to be new before another snapshot is taken."
_log = logging.getLogger("outcrop.knowledge")


class SnapshotKeeper:
    """The snapshot of one index: read at the first search, and taken anew when much has changed."""

    def __init__(self, folder: Path, storage: SqlStorage, *, fewest: int = FEWEST) -> None:
        self._path = folder / FILE
        self._storage = storage
        self._fewest = fewest
        self._lock = threading.Lock()
        self._num_kept: int | None = None
        "Rows of the last snapshot."
        self._writing: threading.Thread | None = None

    def read(self) -> RowSnapshot | None:
        """The snapshot that an earlier process has left; None where none is of use."""
        with contained(_log, f"reading {self._path}"):
            found = snapshot_file.read(
                self._path, knows=self._storage.knows_snapshot, dimensions=self._storage.dimensions
            )
            if found is not None:
                self._num_kept = len(found.rows.alive)
            return found
        return None

    def offer(self, rows: SearchedRows, learned: tuple[int, float] | None) -> None:
        """Take a snapshot of these rows, beside what else is done, if it is worth it."""
        if not self._is_due(rows):
            return
        with self._lock:
            if self._writing is not None and self._writing.is_alive():
                return
            self._num_kept = len(rows.alive)
            snapshot = RowSnapshot(rows=rows, learned=learned)
            self._writing = threading.Thread(target=self._write, args=(snapshot,), name="knowledge snapshot")
            self._writing.start()

    def close(self) -> None:
        """Wait for a snapshot that is being written."""
        writing = self._writing
        if writing is not None:
            writing.join()

    def _is_due(self, rows: SearchedRows) -> bool:
        kept, count = self._num_kept, len(rows.alive)
        if count < self._fewest:
            return False
        return kept is None or count < kept or count - kept >= max(self._fewest, kept // _SHARE)

    def _write(self, snapshot: RowSnapshot) -> None:
        # A full disk, or a folder that is being deleted: the next process reads everything, as it would have.
        with contained(_log, f"writing {self._path}"):
            snapshot_file.write(self._path, snapshot, note=self._storage.note_snapshot)
