"""Logs of the processes: one JSON object a line on standard error, and never a body, a prompt or a secret."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_MEMBERS = "outcrop_members"
_lines: TextIO | None = None
"Where `tell` writes in a process that writes JSON lines."
_plain = logging.Formatter()
_encoder = json.JSONEncoder(ensure_ascii=False, default=str)


def write_json_lines(level: int = logging.INFO) -> None:
    """Let everything under the logger `outcrop` be written as JSON lines. Called once by each process at its start."""
    # The logging HOWTO's own advice: what no line shows need not be found out for each.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    global _lines
    _lines = sys.stderr
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    house = logging.getLogger("outcrop")
    house.handlers = [handler]
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
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = {"time": moment, "level": logging.getLevelName(level).lower(), "logger": log.name, "event": event}
        _lines.write(_encoder.encode(head | members) + "\n")


def line(record: logging.LogRecord) -> str:
    """The time, the level, the logger and the event; then the members that were told with it."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    told = {"time": moment, "level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
    told |= getattr(record, _MEMBERS, {})
    if record.exc_info:
        told["traceback"] = _plain.formatException(record.exc_info)
    return _encoder.encode(told)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return line(record)
