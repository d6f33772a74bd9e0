"""Processes that render templates, one for each template in use, started when it is first needed.

A template that goes beyond its limits ends its own process and holds up nobody but its own model; for some minutes it
is not tried again.
"""

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from outcrop.errors import MachineTrouble
from outcrop.machine.environment import inherited
from outcrop.tokens.template_process import receive, send

MOST_PROCESSES = 4
CPU_S = 2.0
"Seconds of processor time a template gets, and one more for each 4 MB of the conversation."
_BYTES_PER_S = 4 * 2**20
_WALL_S = 120.0
"A busy machine may take so much longer before a process is given up."
_ORDINARY_BYTES = 2**18
"A conversation of more is held against itself; with less, whatever goes wrong is the template's own fault."
_NOT_AGAIN_S = 300.0
_LETTERS_MORE = 2**20
_OUT_OF_TIME = "it does not end within {:.0f} s of processor time"
_ENDED = "its process ended twice, the last time with {}"


class TooMuchError(Exception):
    """The template went beyond its limits; the message says beyond which."""


class _Process:
    """A child process with its template; requests wait for each other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._given_up: tuple[float, str] | None = None

    def ask(self, message: Mapping[str, Any], size: int) -> dict[str, Any]:
        with self.lock:
            if self._given_up is not None and time.monotonic() < self._given_up[0]:
                raise TooMuchError(self._given_up[1])
            try:
                return self._ask(message, size)
            except TooMuchError as problem:
                if size <= _ORDINARY_BYTES:
                    self._given_up = (time.monotonic() + _NOT_AGAIN_S, str(problem))
                raise

    def _ask(self, message: Mapping[str, Any], size: int) -> dict[str, Any]:
        seconds = CPU_S + size / _BYTES_PER_S
        answer, code = self._answer(message, seconds)
        if answer is None and code != -signal.SIGPROF:  # somebody ended the process, which says nothing of the template
            answer, code = self._answer(message, seconds)
        if answer is None:
            raise TooMuchError(_OUT_OF_TIME.format(seconds) if code == -signal.SIGPROF else _ENDED.format(code))
        if size > _ORDINARY_BYTES or "exceeded" in answer:  # what was taken stays with a process; the next begins small
            self.end()
        if "exceeded" in answer:
            raise TooMuchError(answer["exceeded"])
        return answer

    def _answer(self, message: Mapping[str, Any], seconds: float) -> tuple[dict[str, Any] | None, int]:
        """The answer, or None and how the process ended."""
        child = self._running()
        into, out = cast(BinaryIO, child.stdin), cast(BinaryIO, child.stdout)
        answer: dict[str, Any] | None = None
        with contextlib.suppress(BrokenPipeError):  # the process was killed while it read
            send(into, {**message, "seconds": seconds})
            if not select.select([out], [], [], _WALL_S)[0]:
                self.end()
                raise TooMuchError(f"it has not answered within {_WALL_S:.0f} s")
            answer = receive(out)
        if answer is not None:
            return answer, 0
        self.end()
        return None, child.returncode

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.end()
            try:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "outcrop.tokens.template_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=inherited(),
                )
            except OSError as error:
                raise MachineTrouble(f"No process could be started to render a chat template: {error}.") from error
        return self._child

    def end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()  # one that is ending by itself still says why
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    _close(pipe)
            child.wait()


def _close(pipe: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # what was still to be written has no reader any more
        pipe.close()


_processes: OrderedDict[str, _Process] = OrderedDict()
_lock = threading.Lock()


def ask(source: str, message: Mapping[str, Any], *, num_letters: int) -> dict[str, Any]:
    """The answer of the template's process: `text`, `refused` or `broken`. Raises TooMuchError."""
    whole = {**message, "source": source, "most_letters": 8 * num_letters + _LETTERS_MORE}
    return _of(source).ask(whole, num_letters * 4)


def _of(source: str) -> _Process:
    with _lock:
        if source not in _processes:
            _processes[source] = _Process()
        _processes.move_to_end(source)
        idle = [key for key, one in _processes.items() if key != source and not one.lock.locked()]
        for key in idle[: max(0, len(_processes) - MOST_PROCESSES)]:
            _processes.pop(key).end()
        return _processes[source]


def _end_all() -> None:
    for one in _processes.values():
        one.end()
    _processes.clear()


atexit.register(_end_all)
# A forked process must not speak into its parent's pipes.
os.register_at_fork(after_in_child=_processes.clear)
