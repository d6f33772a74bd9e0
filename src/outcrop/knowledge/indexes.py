"""The indexes of knowledge bases, each opened once in a process.

An index is a folder in the home, named by the knowledge base's id. Nothing is read, and no numpy, before one is asked.
"""

import logging
import shutil
import threading
from pathlib import Path

from outcrop.knowledge.passage_index import PassageIndex
from outcrop.loops import contained
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

_log = logging.getLogger("outcrop.knowledge")


class Indexes:
    """The open indexes of this process. Safe in several threads."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "knowledge"
        self._lock = threading.Lock()
        self._open: dict[str, PassageIndex] = {}

    def of(self, knowledge_base: Resource) -> PassageIndex:
        """The index of a knowledge base, made where there is none yet."""
        with self._lock:
            index = self._open.get(knowledge_base.arn)
            if index is None:
                self._close_deleted()
                index = self._open[knowledge_base.arn] = self._opened(knowledge_base)
        return index

    def drop(self, knowledge_base_arn: str) -> None:
        """Delete the index of a knowledge base, with everything in its folder."""
        with self._lock:
            index = self._open.pop(knowledge_base_arn, None)
        if index is not None:
            index.close()
        folder = self.folder_of(knowledge_base_arn)
        if folder.exists():
            with contained(_log, f"deleting the files of {knowledge_base_arn}"):  # nothing leads to them any more
                shutil.rmtree(folder)

    def folder_of(self, knowledge_base_arn: str) -> Path:
        """The folder of a knowledge base's files."""
        return self._folder / knowledge_base_arn.rsplit("/", 1)[-1]

    def close(self) -> None:
        """Close every index."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()

    def _opened(self, knowledge_base: Resource) -> PassageIndex:
        from outcrop.knowledge.index.embedded import EmbeddedIndex

        with understood(knowledge_base.arn):
            dimensions: int | None = knowledge_base.document["dimensions"]
        return EmbeddedIndex(self.folder_of(knowledge_base.arn), dimensions=dimensions)

    def _close_deleted(self) -> None:
        """Close those whose knowledge base another process has deleted."""
        for arn in [arn for arn in self._open if not self.folder_of(arn).exists()]:
            self._open.pop(arn).close()
