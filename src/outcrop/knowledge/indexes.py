"""The indexes of knowledge bases, each opened once in a process.

Each has a folder in the home, named by the knowledge base's id; what lies in a database of the owner's leaves it empty.
Nothing is read, and no numpy, before one is asked.
"""

import logging
import shutil
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from outcrop.knowledge.passage_index import PassageIndex
from outcrop.knowledge.stores.configuration import StorePlace, read_storage
from outcrop.knowledge.stores.opening import Stores
from outcrop.loops import contained
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

_log = logging.getLogger("outcrop.knowledge")
_TOGETHER = 200
"Documents whose copies are removed together."


class Indexes:
    """The open indexes of this process. Safe in several threads."""

    def __init__(self, home: Path, stores: Stores) -> None:
        self.stores = stores
        self._folder = home / "knowledge"
        self._lock = threading.Lock()
        self._opening: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._open: dict[str, PassageIndex] = {}

    def of(self, knowledge_base: Resource) -> PassageIndex:
        """The index of a knowledge base, made where there is none yet.

        Raises MachineTrouble, and Invalid, for a store that does not answer, or has changed.
        """
        arn = knowledge_base.arn
        with self._lock:
            index, opening = self._open.get(arn), self._opening[arn]
        if index is not None:
            return index
        with opening:  # of this one alone: a database that does not answer holds up nobody else's
            with self._lock:
                index = self._open.get(arn)
                self._close_deleted()
            if index is None:
                index = self._opened(knowledge_base)
                with self._lock:
                    self._open[arn] = index
        return index

    def drop(self, knowledge_base: Resource, *, copies_of: Sequence[str] = ()) -> None:
        """Delete the index of a knowledge base, with everything in its folder.

        `copies_of`: data sources whose passages are removed from a store of the owner's too.
        """
        arn = knowledge_base.arn
        # Nothing leads to them any more: what cannot be deleted now is told to the log, and stays.
        with contained(_log, f"deleting what the store of {arn} holds"):
            place, _ = _read(knowledge_base)
            if place is not None:
                self._take_copies(knowledge_base, copies_of)
            self._close(arn)
            self.stores.drop(place, name=_name(arn))
        self._close(arn)
        folder = self.folder_of(arn)
        if folder.exists():
            with contained(_log, f"deleting the files of {arn}"):
                shutil.rmtree(folder)

    def folder_of(self, knowledge_base_arn: str) -> Path:
        """The folder of a knowledge base's files."""
        return self._folder / _name(knowledge_base_arn)

    def close(self) -> None:
        """Close every index."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()

    def _opened(self, knowledge_base: Resource) -> PassageIndex:
        place, dimensions = _read(knowledge_base)
        folder = self.folder_of(knowledge_base.arn)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.stores.open(place, folder, name=_name(knowledge_base.arn), dimensions=dimensions)

    def _take_copies(self, knowledge_base: Resource, data_sources: Sequence[str]) -> None:
        index = self.of(knowledge_base)
        for source in data_sources:
            while page := index.records(source, most=_TOGETHER):
                index.remove([record.key for record in page])

    def _close(self, arn: str) -> None:
        with self._lock:
            index = self._open.pop(arn, None)
            self._opening.pop(arn, None)
        if index is not None:
            index.close()

    def _close_deleted(self) -> None:
        """Close those whose knowledge base another process has deleted."""
        for arn in [arn for arn in self._open if not self.folder_of(arn).exists()]:
            self._open.pop(arn).close()


def _read(knowledge_base: Resource) -> tuple[StorePlace | None, int | None]:
    """The store of a knowledge base, and the numbers of its vectors. Raises Damaged."""
    with understood(knowledge_base.arn):
        dimensions: int | None = knowledge_base.document["dimensions"]
        return read_storage(knowledge_base.document.get("storageConfiguration")), dimensions


def _name(knowledge_base_arn: str) -> str:
    return knowledge_base_arn.rsplit("/", 1)[-1]
