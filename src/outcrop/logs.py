"""Logs of the processes, one JSON object a line on standard error. There is never a body, a prompt or a secret in
them."""

import asyncio
import atexit
import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

import orjson

_MEMBERS = "outcrop_members"
_GATHERED_FOR_S = 0.1
_plain = logging.Formatter()
_encoder = json.JSONEncoder(ensure_ascii=False, default=str)


class _Told(NamedTuple):
    """The content of a log line: moment, level, logger, event and members."""

    at: datetime
    level: int
    logger: str
    event: str
    members: dict[str, Any]

    def __str__(self) -> str:
        return _json(_head(self.at, logging.getLevelName(self.level), self.logger, self.event) | self.members)


class _Lines:
    """Lines on their way to a stream. On an event loop they are gathered for a tenth of a second and written at once.

    A write for each request costs the server more than making the line, and made together, lines cost a third. What is
    told at WARNING or above, and what is told outside of a loop, is written with all that waits, immediately.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str | _Told] = []
        self._lock = threading.Lock()
        atexit.register(self.flush)

    def write(self, line: str | _Told, *, at_once: bool) -> None:
        with self._lock:
            self._waiting.append(line)
            is_first = len(self._waiting) == 1
        loop = None if at_once else asyncio._get_running_loop()
        if loop is None:
            self.flush()
        elif is_first:
            loop.call_later(_GATHERED_FOR_S, self.flush)

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if waiting and not self._stream.closed:
                self._stream.write("\n".join(map(str, waiting)) + "\n")
                self._stream.flush()


def flush() -> None:
    """Write what is gathered: at the end of the loop that gathered it."""
    if _lines is not None:
        _lines.flush()


_lines: _Lines | None = None
"Where this process writes, once it writes JSON lines."


def write_json_lines(level: int = logging.INFO) -> None:
    """Let everything under the logger `outcrop` be written as JSON lines. Called once by each process at its start."""
    # The logging HOWTO's own advice: what no line shows need not be found out for each.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    global _lines
    _lines = _Lines(sys.stderr)
    house = logging.getLogger("outcrop")
    house.handlers = [_JsonLines(_lines)]
    house.propagate = False
    house.setLevel(level)


def tell(
    log: logging.Logger,
    event: str,
    *,
    level: int = logging.INFO,
    exc_info: BaseException | None = None,
    **members: Any,
) -> None:
    """Log an event with members that programs can read."""
    if _lines is None or exc_info is not None:
        log.log(level, event, exc_info=exc_info, extra={_MEMBERS: members})
    elif log.isEnabledFor(level):
        # The same line without a record made for it: the door writes one for each request.
        _lines.write(_Told(datetime.now(UTC), level, log.name, event, members), at_once=level >= logging.WARNING)


def line(record: logging.LogRecord) -> str:
    """The time, the level, the logger and the event; then the members that were told with it."""
    told = _head(datetime.fromtimestamp(record.created, UTC), record.levelname, record.name, record.getMessage())
    told |= getattr(record, _MEMBERS, {})
    if record.exc_info:
        told["traceback"] = _plain.formatException(record.exc_info)
    return _json(told)


def _json(told: dict[str, Any]) -> str:
    try:
        return orjson.dumps(told, default=str).decode()
    except TypeError:  # integers of more than 64 bits, halves of surrogate pairs
        return _encoder.encode(told)


def _head(moment: datetime, level: str, logger: str, event: str) -> dict[str, Any]:
    return {"time": moment.isoformat(timespec="milliseconds"), "level": level.lower(), "logger": logger, "event": event}


class _JsonLines(logging.Handler):
    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.write(line(record), at_once=True)
