"""Rows of tables as lines of text, each with the names of its columns.

`Bond: A | Coupon: 3.5 | Matures: 2031`: a line that is found alone still says what its numbers are.
"""

from collections.abc import Iterable, Iterator, Sequence

from outcrop.documents.section import Section

_PART_LETTERS = 64 * 1024
"A part ends behind the first row after so many."
ROW_SIGN = " | "


def sections_of_rows(
    rows: Iterable[Sequence[str]], *, document: str, headings: tuple[str, ...] = (), sheet: str = "", start: int = 0
) -> Iterator[Section]:
    """The sections of a table whose first row with something in it names the columns."""
    names: Sequence[str] | None = None
    lines: list[str] = []
    num_letters, first = 0, 1
    for number, row in enumerate(rows, start=1):
        cells = [" ".join(cell.split()) for cell in row]
        if not any(cells):
            continue
        if names is None:
            names = cells
            continue
        lines.append(_line(names, cells))
        num_letters += len(lines[-1])
        if num_letters >= _PART_LETTERS:
            yield _section(lines, document, headings, sheet, first, start)
            start += num_letters
            lines, num_letters, first = [], 0, number + 1
    if names is not None and not lines and first == 1:
        lines = [ROW_SIGN.join(filter(None, names)) + "\n"]  # a table of one row alone
    if lines:
        yield _section(lines, document, headings, sheet, first, start)


def _line(names: Sequence[str], cells: Sequence[str]) -> str:
    named = [
        f"{names[place]}: {cell}" if place < len(names) and names[place] else cell
        for place, cell in enumerate(cells)
        if cell
    ]
    return ROW_SIGN.join(named) + "\n"


def _section(
    lines: Sequence[str], document: str, headings: tuple[str, ...], sheet: str, first: int, start: int
) -> Section:
    where = f"sheet {sheet}, row {first}" if sheet else f"row {first}"
    return Section(document=document, headings=headings, place=where, start=start, text="".join(lines))
