"""Logs of the processes: one JSON object a line on standard error, and never a body, a prompt or a secret."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


def write_json_lines(level: int = logging.INFO) -> None:
    """Let everything under the logger `outcrop` be written as JSON lines. Called once by each process at its start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    house = logging.getLogger("outcrop")
    house.handlers = [handler]
    house.propagate = False
    house.setLevel(level)


def tell(log: logging.Logger, event: str, *, level: int = logging.INFO, **members: Any) -> None:
    """Log an event with members that programs can read."""
    log.log(level, "%s", json.dumps({"event": event, **members}, ensure_ascii=False, default=str))


class _JsonLines(logging.Formatter):
    """The time, the level and the logger; then the members of a message that is JSON, or the message itself."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        message = record.getMessage()
        try:
            line |= json.loads(message)
        except (ValueError, TypeError):
            line["event"] = message
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
