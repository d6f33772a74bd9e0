"""Pages of a PDF, each taken apart in a process that may die of it.

pdfium reads first; what it cannot read, pypdf tries. A page that ends the process or takes too long is told as such,
and the next one is read by a new process.
"""

import contextlib
import json
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from outcrop.documents.pdf.page_layout import PageLine
from outcrop.documents.pdf.process import PAGE_CPU_S
from outcrop.documents.section import BadDocument, absent
from outcrop.errors import MachineTrouble
from outcrop.machine.environment import inherited

_WALL_S = 120.0
"A busy machine may take so much longer for a page before the process is given up."
_MOST_DEATHS = 5
PICTURES = "only pictures, no text"
"Why a page gives no text that a program for reading pictures could give."
_OUT_OF_TIME = f"it takes more than {PAGE_CPU_S:.0f} s of processor time"


@dataclass(frozen=True, kw_only=True)
class PdfPage:
    """A page with its lines in the order of reading; without lines, the reason why."""

    number: int
    lines: tuple[PageLine, ...] = ()
    reason: str = ""
    headings: tuple[tuple[int, str], ...] = ()
    "Entries of the outline that point to it, each with its level from 0."
    has_outline: bool = False


def pages_of(path: Path) -> Iterator[PdfPage]:
    """Every page in order. Raises BadDocument where the file is no PDF that can be read."""
    for package in ("pypdfium2", "pypdf"):
        if find_spec(package) is None:
            raise absent(package, "PDF")
    yield from _PdfReading(path).pages()


class _PdfReading:
    """The reading of one file: which engine is at work, and what was learned on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = "pdfium"
        self.next = 1
        self.num_pages: int | None = None
        self.outline: dict[int, list[tuple[int, str]]] = {}
        self.deaths = 0

    def pages(self) -> Iterator[PdfPage]:
        while self.num_pages is None or self.next <= self.num_pages:
            reason = yield from self._answers(self.engine, self.next)
            if self.num_pages is None:
                if self.engine == "pypdf":
                    raise BadDocument(f"{self.path.name}: a broken PDF: {reason}. Write it anew with a PDF program.")
                self.engine = "pypdf"
            elif self.next <= self.num_pages:
                yield from self._lost(reason)

    def _answers(self, engine: str, first: int, last: int = 0) -> Generator[PdfPage, None, str]:
        """The pages that a new process gives; returns why it gives no more."""
        with _started(engine, self.path, first, last) as process:
            out = cast(IO[str], process.stdout)
            while True:
                if not select.select([out], [], [], _WALL_S)[0]:
                    process.kill()
                    return f"it is not read within {_WALL_S:.0f} s"
                line = out.readline()
                if not line.endswith("\n"):
                    return _how_it_ended(process)
                message = json.loads(line)
                if "page" in message:
                    yield self._page(message)
                elif "encrypted" in message:
                    raise BadDocument(
                        f"{self.path.name}: an encrypted PDF, which opens with its password only. "
                        "Save it without one: qpdf --password=PASSWORD --decrypt FILE NEW.pdf"
                    )
                elif "broken" in message:
                    return str(message["broken"]).rstrip(".")
                else:
                    self._opened(message)

    def _opened(self, message: dict[str, Any]) -> None:
        if self.num_pages is None:
            self.num_pages = message["pages"]
        for page, level, title in message["outline"] if not self.outline else ():
            self.outline.setdefault(page, []).append((level, title))

    def _page(self, message: dict[str, Any]) -> PdfPage:
        number = message["page"]
        self.next = number + 1
        reason = ""
        if "broken" in message:
            reason = f"a broken page: {message['broken'].rstrip('.')}"
        elif not message["lines"]:
            reason = PICTURES if message["picture"] else "a blank page"
        lines = tuple(PageLine(*line) for line in message.get("lines", ()))
        headings = tuple(self.outline.get(number, ()))
        return PdfPage(number=number, lines=lines, reason=reason, headings=headings, has_outline=bool(self.outline))

    def _lost(self, reason: str) -> Iterator[PdfPage]:
        """The page at which the process ended: as pypdf reads it, else as a page that is lost."""
        number = self.next
        self.deaths += 1
        if self.deaths > _MOST_DEATHS:
            raise BadDocument(
                f"{self.path.name}: page {number}: the {_MOST_DEATHS + 1}th page that ends its reader ({reason}). "
                "Write the file anew with a PDF program."
            )
        if self.engine == "pdfium":
            yield from self._answers("pypdf", number, number)
        if self.next == number:
            self.next += 1
            yield PdfPage(number=number, reason=reason)


@contextlib.contextmanager
def _started(engine: str, path: Path, first: int, last: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "outcrop.documents.pdf.process", engine, str(path), str(first), str(last)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=inherited(),
        )
    except OSError as error:
        raise MachineTrouble(f"No process could be started to read a PDF: {error}.") from error
    try:
        yield process
    finally:
        process.kill()  # one that is ending by itself still says why
        cast(IO[str], process.stdout).close()
        process.wait()


def _how_it_ended(process: subprocess.Popen[str]) -> str:
    code = process.wait()
    if code == -signal.SIGPROF:
        return _OUT_OF_TIME
    return f"its reader ended with {f'signal {-code}' if code < 0 else f'status {code}'}"
