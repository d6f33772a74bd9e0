"""A process under the supervisor's eyes: started, restarted when it dies, ended in order."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from outcrop import private
from outcrop.machine import prepared
from outcrop.machine.environment import inherited
from outcrop.machine.forking import ChildProcess, fork

_LONGEST_PAUSE_S = 5.0
_GRACE_S = 10.0
_READ_BYTES = 64 * 1024
_LINES_OF_AN_END = 20


class Child:
    """A Python module run as a process of its own, its output appended to a log file."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        fork_server: Path | None = None,
        is_ready: Callable[[float], bool],
    ) -> None:
        """`environment` is what it gets beside our own, without which it has no root key.

        `fork_server` is the socket of one that may have read its libraries already.

        `is_ready` tells whether it can do its work by now, that many seconds after its start.
        """
        self.name = name
        self.deaths = 0
        "Ends by its own fault, with an exit code, in a row and without having been ready once in between."
        self.kills = 0
        "The same for ends by a signal: from a person, or from a kernel that ran out of memory."
        self.restarts = 0
        self.failures = 0
        "Ends that were no part of the plan, in all."
        self._module = module
        self._arguments = arguments
        self.log = log
        self._environment = environment or {}
        self._fork_server = fork_server
        self._process: ChildProcess | None = None
        self._is_ready = is_ready
        self.ready = False
        "Whether it was ready once since it was started."
        self._started = 0.0
        self._code = 0
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep_alive(self) -> None:
        """Start it when it is not running; after repeated deaths, with growing pauses."""
        if self.alive:
            # However long it takes to be ready: a large model that loads slowly is no failure, and one that takes long
            # to find that it cannot load is no success.
            self.ready = self.ready or self._is_ready(time.monotonic() - self._started)
            return
        now = time.monotonic()
        if self._process is not None:
            self._bury(now)
        if now >= self._not_before:
            self._start()

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return next(self._last_lines(), "")

    def reason(self) -> str:
        """Why it ended, as it told it itself in a line that holds `ends_with`; otherwise how it ended."""
        for line in itertools.islice(self._last_lines(), _LINES_OF_AN_END):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                return str(json.loads(line)["ends_with"])
        how = f"signal {-self._code}" if self._code < 0 else f"status {self._code}"
        return f"it ended with {how}, and the log of {self.name} has the details"

    def _last_lines(self) -> Iterator[str]:
        """The last lines of the process's log, the last one first."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _READ_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
            yield from (line.strip() for line in reversed(lines) if line.strip())

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that is not heard within ten seconds."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._process = None

    def _bury(self, now: float) -> None:
        assert self._process is not None
        code = self._process.wait()
        self._process = None
        self.restarts += 1
        settled, self.ready, self._code = self.ready, False, code
        self.failures += code != 0
        # Ending with 0 is part of the plan: a worker makes room for the next job that way.
        self.deaths = 0 if settled else self.deaths + (code > 0)
        self.kills = 0 if settled else self.kills + (code < 0)
        in_a_row = max(self.deaths, self.kills)
        self._not_before = now + (0.0 if in_a_row <= 1 else min(_LONGEST_PAUSE_S, 0.1 * 2**in_a_row))

    def _start(self) -> None:
        with self._open_log() as log:
            self._process = self._prepared(log) or self._forked(log) or self._executed(log)
        self._started = time.monotonic()

    def _prepared(self, log: IO[bytes]) -> ChildProcess | None:
        # What was begun has all of this process's environment.
        if not self._environment.items() <= os.environ.items():
            return None
        return prepared.take(self._module, self._arguments, log)

    def _forked(self, log: IO[bytes]) -> ChildProcess | None:
        if self._fork_server is None:
            return None
        with open(os.devnull, "rb") as nothing:
            return fork(
                self._fork_server,
                self._module,
                self._arguments,
                environment=inherited(**self._environment),
                streams=(nothing.fileno(), log.fileno(), log.fileno()),
                umask=private.users_umask(),
            )

    def _executed(self, log: IO[bytes]) -> ChildProcess:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then ends its children in order.
        return subprocess.Popen(
            [sys.executable, "-m", self._module, *self._arguments],
            env=inherited(**self._environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=private.users_umask(),
        )

    def _open_log(self) -> IO[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open(self.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))
