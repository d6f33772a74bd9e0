"""The seam of the report's observers, which look at each good record once, as it is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from outcrop.datasets.encoding import EncodedRecord
from outcrop.datasets.records import Conversation, PromptCompletion, Record, TextRecord


@dataclass(frozen=True, kw_only=True)
class SeenRecord:
    """A record that will be learned, with its text and its tokens."""

    record: Record
    encoded: Sequence[EncodedRecord]
    text: str
    "All that the record says, part after part."
    digest: bytes


class Observer(Protocol):
    """An observer of a file's good records, in their order."""

    def add(self, seen: SeenRecord) -> None:
        """Look at the next one; whatever is kept of it is small, or bounded."""


def text_of(record: Record) -> str:
    """All that a record says."""
    match record:
        case PromptCompletion():
            return f"{record.prompt}\n{record.completion}"
        case Conversation():
            said = [turn["content"] for turn in record.messages]
            return "\n".join([record.system, *said] if record.system else said)
        case TextRecord():
            return record.text
