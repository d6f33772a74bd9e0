"""XLSX and XLS read as documents: each row a line that names its columns, each sheet a heading.

The file is taken apart in a process of its own (`workbook_process.py`), which may die of it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from outcrop.documents.section import BadDocument, Section, Unread, absent
from outcrop.documents.table_rows import sections_of_rows
from outcrop.documents.workbook_process import CPU_S, MOST_BYTES
from outcrop.machine.environment import inherited


def read_workbook(path: Path) -> Iterator[Section | Unread]:
    """The sections of a workbook. Raises BadDocument for one that is broken, encrypted, or without rows."""
    if find_spec("python_calamine") is None:
        raise absent("python-calamine", "XLSX")
    with _messages(path) as messages:
        start = 0
        for name, rows in _sheets(messages, path):
            for section in sections_of_rows(rows, document=path.name, headings=(name,), sheet=name, start=start):
                start += len(section.text)
                yield section
        if not start:
            raise BadDocument(f"{path.name}: a workbook without rows. Leave it out.")


def _sheets(messages: Iterator[dict[str, Any]], path: Path) -> Iterator[tuple[str, Iterator[Sequence[str]]]]:
    """Sheets by name with their rows, which have to be read before the next sheet."""
    message = next(messages, None)
    while message is not None:
        if "broken" in message:
            why = message["broken"]
            raise BadDocument(f"{path.name}: a broken or encrypted workbook: {why}. Save it anew as XLSX.")
        sheet = _Sheet(messages)
        yield message["sheet"], sheet.rows()
        message = sheet.after


class _Sheet:
    """The rows of one sheet, and the message behind them."""

    def __init__(self, messages: Iterator[dict[str, Any]]) -> None:
        self._messages = messages
        self.after: dict[str, Any] | None = None

    def rows(self) -> Iterator[Sequence[str]]:
        for message in self._messages:
            if "row" not in message:
                self.after = message
                return
            yield message["row"]


@contextmanager
def _messages(path: Path) -> Iterator[Iterator[dict[str, Any]]]:
    command = [sys.executable, "-m", "outcrop.documents.workbook_process", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=inherited())
    try:
        yield _read(process, path)
    finally:
        process.kill()
        process.communicate()


def _read(process: "subprocess.Popen[str]", path: Path) -> Iterator[dict[str, Any]]:
    for line in cast(IO[str], process.stdout):
        if line.endswith("\n"):
            yield json.loads(line)
    if process.wait() != 0:
        raise BadDocument(
            f"{path.name}: a workbook that breaks its reader, or takes more than {MOST_BYTES >> 20:,} MiB or {CPU_S} s "
            "of a processor, as no honest one does. Save its tables as CSV."
        )
