"""Lines of a PDF page in the order of reading: columns one after the other, rows of tables kept together.

Two columns are told from a table by their text: its lines fill the column, and many of them lie below each other.
Called in the child process only; it computes with boxes and texts, and knows nothing of pdfium.
"""

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from outcrop.documents.pdf.letters import WordRun, is_leftward, is_wide

_BIN = 2.0
"Points across the page that are looked at together."
_LEAST_ROWS = 4
"Rows on either side of what is a gap between columns."
_FILLED = 0.55
"Share of a column's width that its usual line fills."
_SPACE = 0.15
"Heights of a letter that part two words."


class PageLine(NamedTuple):
    """A line of a page: text, box, and the block of lines that it stands in."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    block: int
    size: float
    "Of the font of most of it, in points."
    cells: int
    "Cells of a table that it has; 1 is a line of text."


def lines_of(directions: Sequence[Sequence[WordRun]]) -> list[PageLine]:
    """The lines of a page, given its runs by the direction of their lines."""
    found: list[PageLine] = []
    for runs in directions:
        rightmost_first = _reads_leftward(runs)
        for block in _blocks(list(runs), rightmost_first=rightmost_first, depth=0):
            number = found[-1].block + 1 if found else 0
            rows = _rows(block)
            tables = _table_rows(rows)
            found += [
                _line(row, number, in_table=table, leftward=rightmost_first)
                for row, table in zip(rows, tables, strict=True)
            ]
    return found


def _reads_leftward(runs: Sequence[WordRun]) -> bool:
    text = "".join(run.text for run in runs)
    return 2 * sum(map(is_leftward, text)) > sum(map(str.isalpha, text))


def _blocks(runs: list[WordRun], *, rightmost_first: bool, depth: int) -> Iterator[list[WordRun]]:
    """Runs by blocks that are read one after the other."""
    gutter = _gutter(runs) if len(runs) >= 2 * _LEAST_ROWS and depth < 4 else None
    if gutter is None:
        if runs:
            yield runs
        return
    for band in _bands(runs, gutter):
        left = [run for run in band if (run.left + run.right) / 2 < gutter]
        right = [run for run in band if (run.left + run.right) / 2 >= gutter]
        if any(_crosses(run, gutter) for run in band) or not _are_columns(left, right):
            yield band
            continue
        for side in (right, left) if rightmost_first else (left, right):
            yield from _blocks(side, rightmost_first=rightmost_first, depth=depth + 1)


def _gutter(runs: Sequence[WordRun]) -> float | None:
    """The place across the page which the fewest runs cover, where that may part two columns."""
    low, high = min(run.left for run in runs), max(run.right for run in runs)
    size = min(int((high - low) / _BIN) + 1, 4000)
    if size < 10:
        return None
    steps = [0] * (size + 1)
    for run in runs:
        steps[min(int((run.left - low) / _BIN), size)] += 1
        steps[min(int((run.right - low) / _BIN) + 1, size)] -= 1
    covered, now = [], 0
    for step in steps[:size]:
        now += step
        covered.append(now)
    middle = range(size * 3 // 20, size * 17 // 20)
    least = min(covered[place] for place in middle)
    if least > len(runs) // 4:
        return None
    widest = _widest([place for place in middle if covered[place] == least])
    height = statistics.median(run.top - run.bottom for run in runs)
    return low + (widest[0] + widest[1] + 1) / 2 * _BIN if (widest[1] - widest[0] + 2) * _BIN >= 0.6 * height else None


def _widest(places: Sequence[int]) -> tuple[int, int]:
    """The longest stretch of places in a row."""
    best = start = places[0], places[0]
    for before, place in pairwise(places):
        start = (start[0], place) if place == before + 1 else (place, place)
        best = max(best, start, key=lambda each: each[1] - each[0])
    return best


def _crosses(run: WordRun, gutter: float) -> bool:
    return run.left < gutter - _BIN and run.right > gutter + _BIN


def _bands(runs: Sequence[WordRun], gutter: float) -> Iterator[list[WordRun]]:
    """Stretches down the page: rows that cross the gap, and rows beside it, by turns."""
    band: list[WordRun] = []
    crossing: bool | None = None
    for row in _rows(runs):
        crosses = any(_crosses(run, gutter) for run in row)
        if band and crosses is not crossing:
            yield band
            band = []
        band += row
        crossing = crosses
    if band:
        yield band


def _are_columns(left: Sequence[WordRun], right: Sequence[WordRun]) -> bool:
    return all(_is_column(side) for side in (left, right))


def _is_column(side: Sequence[WordRun]) -> bool:
    if len(side) < _LEAST_ROWS:
        return False
    rows = _rows(side)
    width = max(run.right for run in side) - min(run.left for run in side)
    lengths = [sum(run.right - run.left for run in row) for row in rows]
    letters = statistics.median(sum(len(run.text) for run in row) for row in rows)
    wide = any(is_wide(run.text[0]) for run in side)
    return len(rows) >= _LEAST_ROWS and statistics.median(lengths) >= _FILLED * width and letters >= (8 if wide else 15)


def _rows(runs: Sequence[WordRun]) -> list[list[WordRun]]:
    """Runs by the line they stand on, from top to bottom."""
    rows: list[list[WordRun]] = []
    low = high = 0.0
    for run in sorted(runs, key=lambda each: -(each.top + each.bottom)):
        shared = min(high, run.top) - max(low, run.bottom)
        if rows and shared > 0.5 * max(min(high - low, run.top - run.bottom), 0.1):
            rows[-1].append(run)
        else:
            rows.append([run])
            low, high = run.bottom, run.top
    return rows


def _table_rows(rows: Sequence[Sequence[WordRun]]) -> list[bool]:
    """Whether each row is of a table: it has cells, and so has a row beside it."""
    several = [_num_cells(row) > 1 for row in rows]
    return [
        here and (several[at - 1 : at] == [True] or several[at + 1 : at + 2] == [True])
        for at, here in enumerate(several)
    ]


def _num_cells(row: Sequence[WordRun]) -> int:
    ordered = sorted(row, key=lambda run: run.left)
    return 1 + sum(_gap(before, run) > 1.2 for before, run in pairwise(ordered))


def _gap(before: WordRun, run: WordRun) -> float:
    return (run.left - before.right) / max(before.top - before.bottom, run.top - run.bottom, 0.1)


def _line(row: Sequence[WordRun], block: int, *, in_table: bool, leftward: bool) -> PageLine:
    ordered = sorted(row, key=lambda run: run.left, reverse=leftward)
    text = ordered[0].text
    for before, run in pairwise(ordered):
        gap = _gap(run, before) if leftward else _gap(before, run)
        close = gap < _SPACE or (gap < 1.2 and is_wide(before.text[-1]) and is_wide(run.text[0]))
        text += (" | " if in_table and gap > 1.2 else "" if close else " ") + run.text
    return PageLine(
        text=text,
        left=min(run.left for run in row),
        bottom=min(run.bottom for run in row),
        right=max(run.right for run in row),
        top=max(run.top for run in row),
        block=block,
        size=max(row, key=lambda run: len(run.text)).size,
        cells=_num_cells(row) if in_table else 1,
    )
