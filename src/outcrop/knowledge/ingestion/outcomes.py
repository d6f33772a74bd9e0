"""Outcomes of an ingestion job on the disk, by which a killed worker's successor counts each document once.

The index tells what is indexed; whether a document was new, or is one that failed in this very job, only this file
knows. A line is written before its document is put, so it counts only where the index agrees.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO


class OutcomeKind(StrEnum):
    """The deed of an ingestion job on a document."""

    NEW = "new"
    MODIFIED = "modified"
    METADATA = "metadata"
    "Its metadata alone."
    UNCHANGED = "unchanged"
    "The same bytes under another ETag."
    DELETED = "deleted"
    FAILED = "failed"
    READING = "reading"
    "No outcome yet: its file is being read."
    READ = "read"


@dataclass(frozen=True, kw_only=True)
class IngestionOutcome:
    """A line of the file."""

    identifier: str
    kind: OutcomeKind
    versions: str = ""
    "The ETags of the document and of its metadata file then."
    reason: str = ""
    metadata_modified: bool = False


class Outcomes:
    """The outcomes of one job, those of earlier workers included."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = _read(file)
        self.earlier = {line.identifier: line for line in lines if line.kind not in _ON_THE_WAY}
        "The last outcome of each document."
        self.num_written = len(lines)
        "Lines, those of earlier workers included: it tells how far the job is."
        self._deaths = _deaths(lines)
        self._file: IO[str] = file.open("a", encoding="utf-8")

    def write(self, outcome: IngestionOutcome) -> None:
        """Add a line, which survives the death of the process."""
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()
        self.num_written += 1

    def num_deaths(self, identifier: str) -> int:
        """The number of workers that ended while they read this document."""
        return self._deaths[identifier]

    def close(self) -> None:
        self._file.close()


_ON_THE_WAY = (OutcomeKind.READING, OutcomeKind.READ)


def _deaths(lines: Sequence[IngestionOutcome]) -> Counter[str]:
    """The readings of each document that nothing followed."""
    found: Counter[str] = Counter()
    for line in lines:
        if line.kind is OutcomeKind.READING:
            found[line.identifier] += 1
        else:
            found[line.identifier] = 0
    return found


def _read(file: Path) -> list[IngestionOutcome]:
    """The lines of the file; one that a kill has torn is none, and is taken away."""
    found: list[IngestionOutcome] = []
    if not file.exists():
        return found
    content = file.read_text("utf-8")
    for line in content.splitlines(keepends=True):
        if line.endswith("\n"):
            told = json.loads(line)
            found.append(IngestionOutcome(**{**told, "kind": OutcomeKind(told["kind"])}))
    if content and not content.endswith("\n"):
        file.write_text(content[: content.rfind("\n") + 1], "utf-8")
    return found
