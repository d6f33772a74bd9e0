"""The results of one input file on the disk, and how far they reach. A killed worker's successor goes on from there.

Results are appended in the order of their lines. After each append the progress is written, into two places by turns,
each with a checksum: whatever a kill leaves torn, the place before it holds. Results behind the progress are cut off
when the file is opened again, and their lines are asked about once more; so each line has exactly one result.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

_SLOT = struct.Struct("<9QI")
_SYNC_BYTES = 8 << 20
"So much is written before the disk is waited for."


@dataclass(frozen=True, kw_only=True)
class FileProgress:
    """How far the results of a file reach."""

    turn: int = 0
    lines: int = 0
    "Of the input, those of white space included."
    input_end: int = 0
    output_end: int = 0
    successes: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    is_whole: bool = False
    "Whether no line is left."

    @property
    def records(self) -> int:
        return self.successes + self.errors

    def packed(self) -> bytes:
        numbers = (
            self.turn, self.lines, self.input_end, self.output_end, self.successes, self.errors, self.input_tokens,
            self.output_tokens, int(self.is_whole),
        )  # fmt: skip
        return _SLOT.pack(*numbers, zlib.crc32(_SLOT.pack(*numbers, 0)))

    @classmethod
    def unpacked(cls, data: bytes) -> Self | None:
        """None for bytes that are no progress, or not whole."""
        if len(data) != _SLOT.size:
            return None
        *numbers, checksum = _SLOT.unpack(data)
        if zlib.crc32(_SLOT.pack(*numbers, 0)) != checksum:
            return None
        names = ("turn", "lines", "input_end", "output_end", "successes", "errors", "input_tokens", "output_tokens")
        return cls(**dict(zip(names, numbers[:-1], strict=True)), is_whole=bool(numbers[-1]))


class LineResult(NamedTuple):
    """The result of one line: its bytes in the output, and what is counted of it."""

    line: int
    input_end: int
    data: bytes
    is_error: bool
    input_tokens: int = 0
    output_tokens: int = 0


class ResultFile:
    """The results of one input file, open to be appended to."""

    def __init__(self, path: Path) -> None:
        """Goes on where an earlier process stopped. Raises OSError."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._output = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._slots = os.open(path.with_suffix(".progress"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.progress = self._last()
        os.truncate(self._output, self.progress.output_end)
        self._synced = self.progress.output_end

    def append(self, results: Sequence[LineResult]) -> None:
        """Write the results of the next lines, in their order. Raises OSError; nothing of them counts then."""
        before, data = self.progress, b"".join(result.data for result in results)
        place = before.output_end
        for start in range(0, len(data), 1 << 20):
            place += _write(self._output, data[start : start + (1 << 20)], place)
        self._advance(
            replace(
                before,
                lines=results[-1].line,
                input_end=results[-1].input_end,
                output_end=place,
                successes=before.successes + sum(not result.is_error for result in results),
                errors=before.errors + sum(result.is_error for result in results),
                input_tokens=before.input_tokens + sum(result.input_tokens for result in results),
                output_tokens=before.output_tokens + sum(result.output_tokens for result in results),
            )
        )

    def finish(self) -> None:
        """Note that no line is left."""
        self._advance(replace(self.progress, is_whole=True))

    def close(self) -> None:
        os.close(self._output)
        os.close(self._slots)

    def _advance(self, progress: FileProgress) -> None:
        if progress.output_end - self._synced >= _SYNC_BYTES or progress.is_whole:
            os.fsync(self._output)
            self._synced = progress.output_end
        progress = replace(progress, turn=progress.turn + 1)
        _write(self._slots, progress.packed(), (progress.turn % 2) * _SLOT.size)
        self.progress = progress

    def _last(self) -> FileProgress:
        slots = [os.pread(self._slots, _SLOT.size, place * _SLOT.size) for place in range(2)]
        found = [each for each in map(FileProgress.unpacked, slots) if each is not None and self._holds(each)]
        return max(found, key=lambda each: each.turn, default=FileProgress())

    def _holds(self, progress: FileProgress) -> bool:
        """Whether the output reaches as far; after a failure of the power it may not."""
        end = progress.output_end
        return end == 0 or os.pread(self._output, 1, end - 1) == b"\n"


def _write(descriptor: int, data: bytes, place: int) -> int:
    """Write all of it at a place; returns its length."""
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], place + written)
    return written
