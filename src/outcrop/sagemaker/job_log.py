"""The log of a script: the lines that it prints, as events of CloudWatch Logs.

The script writes into a file, so that nothing is lost with the process that reads it. How many lines the stream of the
log has tells where to go on: a line is never there twice, nor missing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from outcrop.clock import Clock
from outcrop.errors import NotFound
from outcrop.log_groups.events import LogEvent
from outcrop.log_groups.log_groups import LogGroups

GROUP = "/aws/sagemaker/TrainingJobs"
_LONGEST = 256 * 1024
"Bytes of an event; a longer line is several."
_READ_BYTES = 1 << 20


class JobLog:
    """The log of one program."""

    def __init__(
        self,
        file: Path,
        stream: str,
        *,
        region: str,
        group: str = GROUP,
        groups: LogGroups,
        clock: Clock,
        heard: Callable[[str], None],
    ) -> None:
        """`heard` is told each line."""
        self._group = group
        self._file = file
        self._stream = stream
        self._region = region
        self._groups = groups
        self._clock = clock
        self._heard = heard
        self._whole: list[bytes] = []
        "Lines that have been read, and not told."
        self._rest = b""
        self.position = 0
        "Bytes of the file that were read."
        groups.create(group, region=region)

    def resume(self) -> int:
        """Pass over the lines that the stream has already; returns their number."""
        _, stream = self._groups.records.find_stream(self._group, self._stream, region=self._region)
        told = 0 if stream is None else self._groups.next_number(stream)
        left = told
        while left and (lines := self._next(most=left)):
            left -= len(lines)
        return told

    def pass_on(self, *, last: bool = False) -> int:
        """Tell the lines that are new; `last`: also one that has not ended. Returns their number."""
        number = 0
        while lines := self._next():
            number += len(lines)
            self._tell(lines)
        if last and self._rest:
            rest, self._rest = self._rest, b""
            self._tell([rest])
            number += 1
        return number

    def _tell(self, lines: Sequence[bytes]) -> None:
        texts = [line.decode("utf-8", "replace") for line in lines]
        now = self._clock.now()
        events = [LogEvent(at=now, message=text) for text in texts]
        try:
            self._groups.put(self._group, self._stream, events, region=self._region)
        except NotFound:  # somebody has deleted the group meanwhile
            self._groups.create(self._group, region=self._region)
            self._groups.put(self._group, self._stream, events, region=self._region)
        for text in texts:
            self._heard(text)

    def _next(self, *, most: int | None = None) -> list[bytes]:
        """Some of the whole lines that follow; none where no line has ended."""
        while not self._whole and (more := self._read()):
            *lines, self._rest = (self._rest + more).split(b"\n")
            self._whole = [piece for line in lines for piece in _pieces(line)]
            if len(self._rest) >= _LONGEST:
                *pieces, self._rest = _pieces(self._rest)
                self._whole += pieces
        found, self._whole = self._whole[:most], self._whole[len(self._whole[:most]) :]
        return found

    def _read(self) -> bytes:
        try:
            # The log of a running job is looked at several times a second, and as a rule there is nothing new.
            if self._file.stat().st_size <= self.position:
                return b""
        except FileNotFoundError:
            return b""  # nothing has been printed yet
        with self._file.open("rb") as file:
            file.seek(self.position)
            more = file.read(_READ_BYTES)
        self.position += len(more)
        return more


def _pieces(line: bytes) -> list[bytes]:
    return [line[start : start + _LONGEST] for start in range(0, max(len(line), 1), _LONGEST)]
