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
from outcrop.keys.envelopes import DataKey
from outcrop.keys.sealed_lines import SealedLines

FILE = "events.jsonl"


def of_run(run_dir: Path, clock: Clock, *, data_key: DataKey | None) -> "Events":
    """The events of the job that runs in this folder, sealed where it has a data key."""
    return Events(run_dir / FILE, clock, sealed=None if data_key is None else sealed_lines(data_key, run_dir))


def sealed_lines(data_key: DataKey, run_dir: Path) -> SealedLines:
    """The seal of the lines of a job's events."""
    job_id = run_dir.name.partition(".")[0]  # behind it stands the number of the lease, which changes
    return SealedLines(data_key.plaintext, name=f"{job_id}/{FILE}")


def opened_lines(path: Path, sealed: SealedLines) -> list[bytes]:
    """The whole lines of a sealed file, in clear. Raises SealBroken, OSError."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1].splitlines()
    return [sealed.open(line, number) for number, line in enumerate(whole)]


class Events:
    """Appends to the file of one job; a line that a killed worker left unfinished is cut off."""

    def __init__(self, path: Path, clock: Clock, *, sealed: SealedLines | None = None) -> None:
        """`sealed` seals each line."""
        self._path = path
        self._clock = clock
        self._sealed = sealed
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._cut_off_half_a_line()
        self._opened = bytearray()
        "Of a sealed file: its lines in clear."
        self._num_lines = 0
        if sealed is not None and path.exists():
            lines = opened_lines(path, sealed)
            self._opened += b"".join(lines)
            self._num_lines = len(lines)
        self.listener: Callable[[dict[str, Any]], None] = lambda _event: None
        "Told each event after it was written."

    def tell(self, event: str, **members: Any) -> None:
        """Write one event with the time. Raises OSError when the disk does not take it."""
        told = {"time": self._clock.now().isoformat(timespec="milliseconds"), "event": event, **members}
        line = json.dumps(told, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        written = line
        if self._sealed is not None:
            written = self._sealed.seal(line, self._num_lines) + b"\n"
        with self._path.open("ab", buffering=0) as file:
            if file.write(written) < len(written):  # a full disk takes a part
                self._cut_off_half_a_line()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        if self._sealed is not None:
            self._opened += line
            self._num_lines += 1
        self.listener(told)

    def content(self) -> bytes:
        """All lines so far."""
        if self._sealed is not None:
            return bytes(self._opened)
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
