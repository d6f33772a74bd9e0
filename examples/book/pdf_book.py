"""A PDF of a plain text, as books are printed: lines of prose, a running head, and the number of each page.

The book's own pages are what the example is about; where somebody has a PDF already, nothing of this is used.
"""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 420, 595, 48
SIZE, STEP, LINES, COLUMNS = 10, 13, 36, 64
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Times-Roman/Encoding/WinAnsiEncoding>>"
_FIRST_PAGE = 4
"The number of the first object that is a page; its content is the next one."


def write_pdf(text: str, title: str, path: Path) -> int:
    """Write the text as a PDF; returns the number of pages. Ends the program where a letter is not in the font."""
    pages = list(_pages(text))
    objects = {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: _tree(len(pages)), 3: _FONT}
    for number, lines in enumerate(pages):
        page = _FIRST_PAGE + 2 * number
        objects[page] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {WIDTH} {HEIGHT}]/Contents {page + 1} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>"
        ).encode()
        content = b"\n".join(_page(lines, title, number + 1))
        objects[page + 1] = b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content)
    path.write_bytes(_file(objects))
    return len(pages)


def _pages(text: str) -> Iterator[list[str]]:
    lines = _lines(text)
    while page := list(islice(lines, LINES)):
        yield page


def _lines(text: str) -> Iterator[str]:
    for paragraph in text.splitlines():
        yield from textwrap.wrap(paragraph, COLUMNS) or [""]


def _tree(num_pages: int) -> bytes:
    kids = " ".join(f"{_FIRST_PAGE + 2 * number} 0 R" for number in range(num_pages))
    return f"<</Type/Pages/Count {num_pages}/Kids[{kids}]>>".encode()


def _page(lines: Sequence[str], title: str, number: int) -> Iterator[bytes]:
    top = HEIGHT - MARGIN
    yield _shown(title, MARGIN, top)
    for place, line in enumerate(lines, 2):
        yield _shown(line, MARGIN, top - STEP * place)
    yield _shown(str(number), WIDTH // 2, MARGIN // 2)


def _shown(line: str, x: int, y: int) -> bytes:
    try:
        letters = line.encode("cp1252")
    except UnicodeEncodeError as error:
        raise SystemExit(f"{line!r}: a letter is not in the fonts of every PDF reader. Give a PDF of it.") from error
    return f"BT /F {SIZE} Tf {x} {y} Td <{letters.hex()}> Tj ET".encode()


def _file(objects: dict[int, bytes]) -> bytes:
    content, places = bytearray(b"%PDF-1.5\n"), []
    for number, inside in sorted(objects.items()):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, inside)
    start = len(content)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    content += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, rows)
    return bytes(content + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start))
