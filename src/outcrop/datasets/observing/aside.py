"""Observers in a process of their own: records are read on one core, and looked at on another.

They see the same records in the same order, and find the same. A file is worth a process from a few megabytes on.
"""

import fcntl
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import IO, Any, Protocol, Self

from outcrop.datasets.encoding import EncodedRecord
from outcrop.datasets.observing.file_observers import FileObservers, Observed
from outcrop.datasets.observing.languages import Languages
from outcrop.datasets.records import Record
from outcrop.errors import MachineTrouble
from outcrop.machine.environment import inherited
from outcrop.tokens.tokenizer import Tokenizer

LEAST_BYTES = 4_000_000
"Of all files together: reading them takes longer than the other process takes to begin."
_MOST_RECORDS, _MOST_TOKENS = 128, 50_000
"That go to the other process at once."
_PIPE_BYTES = 1 << 20
"As much as any user of Linux may have."
FILE, RECORDS, CLOSE, FOUND = "file", "records", "close", "found"
Shown = tuple[Record, Sequence[EncodedRecord], bytes]
"A record that will be learned, what it is encoded to, and its digest."


class ObservedFile(Protocol):
    """The observers of one file, wherever they are; `FileObservers` tells what the methods do."""

    def add(self, record: Record, encoded: Sequence[EncodedRecord], digest: bytes) -> None: ...

    def close(self) -> None: ...

    def found(self) -> Observed: ...


class Observing(Protocol):
    """The observers of all files of a report."""

    def of_file(self, name: str, before: Sequence[int]) -> ObservedFile:
        """Observers of the next file, which also look for what files `before` it have, by their numbers from 0."""


def observing(tokenizer: Tokenizer, *, num_bytes: int) -> AbstractContextManager[Observing]:
    """Observers of files of so many bytes together: in another process where that pays, else in this one."""
    if num_bytes >= LEAST_BYTES and (os.cpu_count() or 1) > 1:
        return ObserversAside(tokenizer)
    return nullcontext(ObserversHere(tokenizer))


class ObserversHere:
    """The observers of files in this process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._languages = Languages()
        self._files: list[FileObservers] = []

    def of_file(self, name: str, before: Sequence[int]) -> FileObservers:
        seen = [self._files[number] for number in before]
        self._files.append(FileObservers(self._tokenizer, self._languages, seen, name=name))
        return self._files[-1]

    def answer(self, what: str, number: int, given: Any) -> Observed | None:
        """The answer to another process, which asks about the file of a number."""
        match what:
            case "file":
                self.of_file(*given)
            case "records":
                for shown in given:
                    self._files[number].add(*shown)
            case "close":
                self._files[number].close()
            case "found":
                return self._files[number].found()
        return None


class ObserversAside:
    """The observers of files in another process: a context, which ends it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._num_files = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "outcrop.datasets.observing.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Files are read on one core and looked at on another; a third thread would only take their time.
            env=inherited(TOKENIZERS_PARALLELISM="false"),
        )
        _widen(_of(self._process.stdin))
        self.tell(tokenizer)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def of_file(self, name: str, before: Sequence[int]) -> "_FileAside":
        self._num_files += 1
        self.tell((FILE, self._num_files - 1, (name, tuple(before))))
        return _FileAside(self, self._num_files - 1)

    def tell(self, message: object) -> None:
        try:
            pickle.dump(message, _of(self._process.stdin), protocol=pickle.HIGHEST_PROTOCOL)
        except BrokenPipeError as gone:
            raise self._ended() from gone

    def ask(self, message: object) -> Any:
        self.tell(message)
        try:
            _of(self._process.stdin).flush()
            return pickle.load(_of(self._process.stdout))  # of our own process
        except (BrokenPipeError, EOFError) as gone:
            raise self._ended() from gone

    def _ended(self) -> MachineTrouble:
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with {code}"
        return MachineTrouble(
            f"The process that looks at the records has ended {how}. Where memory ran out, free some; then try again."
        )


class _FileAside:
    """The observers of one file in the other process."""

    def __init__(self, observers: ObserversAside, number: int) -> None:
        self._observers = observers
        self._number = number
        self._waiting: list[Shown] = []
        self._num_tokens = 0

    def add(self, record: Record, encoded: Sequence[EncodedRecord], digest: bytes) -> None:
        self._waiting.append((record, encoded, digest))
        self._num_tokens += sum(len(sequence.ids) for sequence in encoded)
        if len(self._waiting) >= _MOST_RECORDS or self._num_tokens >= _MOST_TOKENS:
            self._send()

    def close(self) -> None:
        self._send()
        self._observers.tell((CLOSE, self._number, None))

    def found(self) -> Observed:
        found: Observed = self._observers.ask((FOUND, self._number, None))
        return found

    def _send(self) -> None:
        self._observers.tell((RECORDS, self._number, self._waiting))
        self._waiting, self._num_tokens = [], 0


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold two messages, so that reading goes on while the other process looks at one."""
    with suppress(AttributeError, OSError):  # not Linux, or a user who has many pipes already
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _of(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "opened with the process"
    return stream
