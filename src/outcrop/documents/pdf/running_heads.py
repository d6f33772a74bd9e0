"""Running heads, running feet and page numbers, found by their return on pages nearby, and left out.

A line at the edge of a page is one where pages around have the same at the same height, figures aside. Looking at
the pages around only finds the heads of chapters too, and holds few pages in memory.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from outcrop.documents.pdf.page_layout import PageLine
from outcrop.documents.pdf.pages import PdfPage

_AROUND = 8
"Pages before and after that are looked at."
_DEPTH = 2
"Lines at the head of a page, and as many at its foot, that may be one."
_SAME_HEIGHT = 6.0
_LONGEST = 150
_FIGURES = re.compile(r"\d+")
_NUMBER = re.compile(
    r"[\W_]*(?:(?:page|seite|p\.|s\.|第)\s*)?(?P<number>\d{1,5}|[ivxlc]{1,9})(?:\s*(?:of|/|von|de)\s*\d{1,5})?"
    r"\s*(?:頁|ページ)?[\W_]*",
    re.IGNORECASE,
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True)
class _Edges:
    """A page with the lines at its head and foot."""

    page: PdfPage

    @cached_property
    def lines(self) -> list[tuple[str, PageLine]]:
        """Lines that may be running ones, each with its side; the outermost of each side first."""
        levels = _levels(self.page.lines)
        head = [("head", line) for level in levels[:_DEPTH] for line in level]
        return head + [("foot", line) for level in levels[::-1][:_DEPTH] for line in level]

    @cached_property
    def by_words(self) -> dict[tuple[str, str], list[float]]:
        """Heights of such lines by side and words."""
        found: dict[tuple[str, str], list[float]] = {}
        for side, line in self.lines:
            found.setdefault((side, _words(line.text)), []).append(line.bottom)
        return found

    @cached_property
    def numbers(self) -> set[int]:
        """Differences between the numbers at its edges and the page's own."""
        found = (number_of(line.text) for _, line in self.lines)
        return {number - self.page.number for number in found if number is not None}


def without_running_heads(pages: Iterable[PdfPage]) -> Iterator[PdfPage]:
    """Pages without their running lines. A page that would have no line left keeps them."""
    coming = iter(pages)
    around: deque[_Edges] = deque(_Edges(page) for page in islice(coming, _AROUND + 1))
    at = 0
    while at < len(around):
        yield _without(around[at].page, around[at], [each for place, each in enumerate(around) if place != at])
        around.extend(_Edges(page) for page in islice(coming, 1))
        if at == _AROUND:
            around.popleft()
        else:
            at += 1


def _without(page: PdfPage, edges: _Edges, others: Sequence[_Edges]) -> PdfPage:
    dropped = {id(line) for side, line in edges.lines if _is_running(page, side, line, others)}
    kept = tuple(line for line in page.lines if id(line) not in dropped)
    return replace(page, lines=kept) if kept else page


def _is_running(page: PdfPage, side: str, line: PageLine, others: Sequence[_Edges]) -> bool:
    if len(line.text) > _LONGEST or line.cells > 1:
        return False
    number = number_of(line.text)
    if number is not None:
        ahead = number - page.number
        return ahead == 0 or any(ahead in other.numbers for other in others)
    words = _words(line.text)
    if not any(map(str.isalpha, words)):
        return False
    again = sum(
        any(abs(height - line.bottom) <= _SAME_HEIGHT for height in other.by_words.get((side, words), ()))
        for other in others
    )
    return again >= (2 if len(others) > 2 else 1)


def number_of(text: str) -> int | None:
    """The page number that a line is, else None."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    number = found["number"]
    return int(number) if number.isdigit() else _of_roman(number.lower())


def _of_roman(number: str) -> int:
    values = [_ROMAN[letter] for letter in number]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _words(text: str) -> str:
    """Words of a line without its page's number, on whichever side that stands."""
    return _FIGURES.sub("", text).casefold().strip("-–—·|./ \t")


def _levels(lines: Sequence[PageLine]) -> list[list[PageLine]]:
    """Lines by their height on the page, the uppermost first."""
    levels: list[list[PageLine]] = []
    for line in sorted(lines, key=lambda each: -each.bottom):
        if levels and levels[-1][0].bottom - line.bottom < 0.5 * (line.top - line.bottom):
            levels[-1].append(line)
        else:
            levels.append([line])
    return levels
