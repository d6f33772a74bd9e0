"""The journal of an evaluation job: everything that was answered, by key, so that nothing is asked twice.

An entry is a line of JSON, appended as soon as it is known. A worker's death may leave the last line torn: it is cut
off when the journal is opened again, and its question asked once more.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KEY, _VALUE = "key", "value"


class AskedJournal:
    """The entries of one job. It belongs to one thread or event loop; close it at the end."""

    def __init__(self, file: Path) -> None:
        """Goes on where an earlier worker stopped. Raises OSError."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._entries: dict[str, Mapping[str, Any]] = {}
        end = self._read(file) if file.exists() else 0
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The entry of a key; None where nothing is known yet."""
        return self._entries.get(key)

    def add(self, key: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write down what became of a key, and return it. Raises OSError; nothing of it counts then."""
        data = json.dumps({_KEY: key, _VALUE: value}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        start = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, start)
            os.lseek(self._file, start, os.SEEK_SET)
            raise
        self._entries[key] = value
        return value

    def close(self) -> None:
        os.close(self._file)

    def _read(self, file: Path) -> int:
        """Take in the whole entries; returns where they end."""
        end = 0
        with file.open("rb") as lines:
            for line in lines:
                entry = _entry(line)
                if entry is None:
                    break
                key, value = entry
                self._entries[key] = value
                end += len(line)
        return end


def _entry(line: bytes) -> tuple[str, Mapping[str, Any]] | None:
    """The key and value of a line; None where it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        told = json.loads(line)
        return str(told[_KEY]), dict(told[_VALUE])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
