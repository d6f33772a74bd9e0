"""Outcomes of an ingestion job on the disk, by which a killed worker's successor counts each document once.

The index tells what is indexed; whether a document was new, or is one that failed in this very job, only this file
knows. A line is written before its document is put, so it counts only where the index agrees.
"""

import json
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
        self.earlier = _read(file)
        self._file: IO[str] = file.open("a", encoding="utf-8")

    def write(self, outcome: IngestionOutcome) -> None:
        """Add a line, which survives the death of the process."""
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _read(file: Path) -> dict[str, IngestionOutcome]:
    """The last outcome of each document; a line that a kill has torn is none."""
    found: dict[str, IngestionOutcome] = {}
    if not file.exists():
        return found
    content = file.read_text("utf-8")
    for line in content.splitlines(keepends=True):
        if line.endswith("\n"):
            told = json.loads(line)
            outcome = IngestionOutcome(**{**told, "kind": OutcomeKind(told["kind"])})
            found[outcome.identifier] = outcome
    if content and not content.endswith("\n"):
        file.write_text(content[: content.rfind("\n") + 1], "utf-8")
    return found
