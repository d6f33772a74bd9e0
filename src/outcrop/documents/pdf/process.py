"""The process in which PDFs are taken apart, since they come from strangers.

A PDF may be made to loop, to fill the memory, or to break the library that reads it. Here time and memory have an end
that the kernel holds. `pages.py` starts it: `python -m outcrop.documents.pdf.process ENGINE FILE FIRST LAST`. It
answers in lines of JSON: what the file is, then each page.
"""

import json
import logging
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from outcrop.documents.pdf.letters import runs_of
from outcrop.documents.pdf.page_layout import PageLine, lines_of
from outcrop.documents.section import reason_of

MOST_BYTES = 3 * 2**30
"Address space of the process, the interpreter's and the mapped file included."
PAGE_CPU_S = 10.0
"Processor time of a page. The slowest honest ones take half a second."
_MOST_OUTLINE = 10_000
_MOST_UNREADABLE = 0.02
"A page of formulas has a large bracket or two that no font names."
_MOST_LINES = 20_000


def main() -> None:
    engine, name, first, last = sys.argv[1:5]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable()
    # Nobody handles the signal: it ends the process, whatever C code the page is in.
    signal.setitimer(signal.ITIMER_PROF, PAGE_CPU_S)
    for message in _with_pypdf(name, int(first), int(last)) if engine == "pypdf" else _with_pdfium(name, int(first)):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
        signal.setitimer(signal.ITIMER_PROF, PAGE_CPU_S)


def _with_pdfium(name: str, first: int) -> Iterator[dict[str, Any]]:
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        document = pypdfium2.PdfDocument(name)
        num_pages = len(document)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
        yield {"encrypted": True} if locked else {"broken": reason_of(error)}
        return
    yield {"pages": num_pages, "outline": _outline(document)}
    by_pypdf = cache(lambda: _pypdf_reader(name))
    for number in range(first, num_pages + 1):
        yield _page(document, number, by_pypdf)


def _outline(document: Any) -> list[tuple[int, int, str]]:
    """Its entries as (page, level, title)."""
    entries: list[tuple[int, int, str]] = []
    for entry in document.get_toc(max_depth=6):
        target = entry.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            entries.append((page + 1, entry.level, entry.get_title()[:300]))
        if len(entries) >= _MOST_OUTLINE:
            break
    return entries


def _page(document: Any, number: int, by_pypdf: Callable[[], Any]) -> dict[str, Any]:
    import pypdfium2

    try:
        page = document[number - 1]
        textpage = page.get_textpage()
        lines = lines_of(runs_of(textpage))
        has_picture = not lines and any(_is_drawn(each) for each in page.get_objects(max_depth=3))
        textpage.close()
        page.close()
    except pypdfium2.PdfiumError as error:
        return {"page": number, "broken": reason_of(error)}
    if _unreadable(lines) > _MOST_UNREADABLE:
        lines = _better(by_pypdf, number, _unreadable(lines)) or lines
    return _message(number, lines, has_picture=has_picture)


def _is_drawn(part: Any) -> bool:
    import pypdfium2.raw as pdfium

    return part.type in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_SHADING)


def _message(number: int, lines: Sequence[PageLine], *, has_picture: bool) -> dict[str, Any]:
    rounded = [(line[0], *(round(place, 1) for place in line[1:5]), *line[5:]) for line in lines[:_MOST_LINES]]
    return {"page": number, "lines": rounded, "picture": has_picture}


def _unreadable(lines: Sequence[PageLine]) -> float:
    """The share of signs of which the reader does not learn from their font what they mean."""
    num_letters = sum(len(line.text) for line in lines)
    return sum(char < " " for line in lines for char in line.text) / max(num_letters, 1)


def _better(by_pypdf: Callable[[], Any], number: int, unreadable: float) -> list[PageLine] | None:
    """The page as pypdf reads it, where it understands more of it."""
    try:
        lines = _pypdf_lines(by_pypdf().pages[number - 1])
    except Exception:  # pypdf raises whatever Python can; pdfium's text stands
        return None
    return lines if lines and _unreadable(lines) < unreadable else None


def _with_pypdf(name: str, first: int, last: int) -> Iterator[dict[str, Any]]:
    try:
        reader = _pypdf_reader(name)
        if reader.is_encrypted and not reader.decrypt(""):
            yield {"encrypted": True}
            return
        num_pages = len(reader.pages)
    except Exception as error:  # pypdf raises whatever Python can
        yield {"broken": reason_of(error)}
        return
    yield {"pages": num_pages, "outline": []}
    for number in range(first, min(num_pages, last or num_pages) + 1):
        try:
            page = reader.pages[number - 1]
            yield _message(number, _pypdf_lines(page), has_picture="/XObject" in (page.get("/Resources") or {}))
        except Exception as error:
            yield {"page": number, "broken": reason_of(error)}


def _pypdf_reader(name: str) -> Any:
    import pypdf

    return pypdf.PdfReader(Path(name), strict=False)


def _pypdf_lines(page: Any) -> list[PageLine]:
    """Lines as pypdf gives them. It tells no boxes: they stand below each other as on a typewriter."""
    texts = [text.strip() for text in page.extract_text().split("\n")]
    return [
        PageLine(text, 0.0, -12.0 * at, 6.0 * len(text), 12.0 - 12.0 * at, 0, 10.0, 1)
        for at, text in enumerate(texts)
        if text
    ]


if __name__ == "__main__":
    main()
