"""The events of a job, one JSON object a line, in the order in which they happened: `events.jsonl`.

They are kept in the run's folder, line by line, and so outlast a killed worker; the bucket gets copies of the file. A
step that was taken again after a kill is there twice, with a `resume` between: what happened is not rewritten.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from outcrop.clock import Clock

FILE = "events.jsonl"


class Events:
    """Appends to the file of one job; a line that a killed worker left unfinished is cut off."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._cut_off_half_a_line()
        self.listener: Callable[[dict[str, Any]], None] = lambda _event: None
        "Told each event after it was written."

    def tell(self, event: str, **members: Any) -> None:
        """Write one event with the time. Raises OSError when the disk does not take it."""
        told = {"time": self._clock.now().isoformat(timespec="milliseconds"), "event": event, **members}
        line = json.dumps(told, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._path.open("ab", buffering=0) as file:
            if file.write(line) < len(line):  # a full disk takes a part
                self._cut_off_half_a_line()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self.listener(told)

    def content(self) -> bytes:
        """All lines so far."""
        return self._path.read_bytes() if self._path.exists() else b""

    def all(self) -> Iterator[dict[str, Any]]:
        """Every event so far."""
        return map(json.loads, self.content().splitlines())

    def _cut_off_half_a_line(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self._path.open("rb+") as file:
                file.truncate(whole)
