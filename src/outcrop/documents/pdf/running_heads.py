"""Running heads, running feet and page numbers, found by their return on pages nearby, and left out.

A line at the edge of a page is one where pages around have the same at the same height, but for a page number at its
end or beginning. Other figures have to be the same: "Rule 17" over the next page's "Rule 18" is what the page is about.
Looking at the pages around only finds the heads of chapters too, and holds few pages in memory.
"""

import re
import statistics
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise

from outcrop.documents.pdf.page_layout import PageLine
from outcrop.documents.pdf.pages import PdfPage

_AROUND = 8
"Pages before and after that are looked at."
_DEPTH = 2
"Lines at the head of a page, and as many at its foot, that may be one."
_SAME_HEIGHT = 6.0
_LONGEST = 150
_APART = 1.25
"Distances of lines in the text that a running line with a page number keeps from it, at the least."
_BEFORE = re.compile(r"(?P<number>\d{1,5})(?!\d)(?P<rest>.+)", re.DOTALL)
_BEHIND = re.compile(r"(?P<rest>.*[^\d.])(?P<number>\d{1,5})[\W_]*", re.DOTALL)
_PART = re.compile(
    r"(?:^|[\W_])(?:rule|section|sec|article|art|chapter|part|title|item|clause|paragraph|para|appendix|annex|schedule|"
    r"exhibit|figure|fig|table|document|question|lesson|step|no|nr|regel|artikel|kapitel|absatz|teil|第)[\W_]*$|[§#№][\W_]*$",
    re.IGNORECASE,
)
"Behind these stands the number of a part, and no page's."
_NUMBER = re.compile(
    r"(?:(?![§#№])[\W_])*(?:(?:page|seite|p\.|s\.|第)\s*)?(?P<number>\d{1,5}|[ivxlc]{1,9})(?:\s*(?:of|/|von|de)\s*\d{1,5})?"
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
        head = [("head", line) for level in self._levels[:_DEPTH] for line in level]
        return head + [("foot", line) for level in self._levels[::-1][:_DEPTH] for line in level]

    @cached_property
    def _levels(self) -> list[list[PageLine]]:
        return _levels(self.page.lines)

    @cached_property
    def by_words(self) -> dict[tuple[str, str, int | None], list[float]]:
        """Heights of such lines by side and words, and how far their page number is ahead where they have one."""
        found: dict[tuple[str, str, int | None], list[float]] = {}
        for side, line in self.lines:
            for words, ahead in self.forms(side, line):
                found.setdefault((side, words, ahead), []).append(line.bottom)
        return found

    def forms(self, side: str, line: PageLine) -> list[tuple[str, int | None]]:
        """The words of a line: all of them, and those without a number that may be the page's."""
        found: list[tuple[str, int | None]] = [(_words(line.text), None)]
        if self._stands_apart(side, line):
            numbered = (_BEFORE.fullmatch(line.text.strip()), _BEHIND.fullmatch(line.text.strip()))
            found += [
                (_words(each["rest"]), int(each["number"]) - self.page.number)
                for each in numbered
                if each is not None and (each.re is _BEFORE or not _PART.search(each["rest"]))
            ]
        return found

    def _stands_apart(self, side: str, line: PageLine) -> bool:
        """Whether a line, with those beyond it, keeps a distance from the text."""
        levels = self._levels if side == "head" else self._levels[::-1]
        gaps = [abs(before[0].bottom - level[0].bottom) for before, level in pairwise(levels)]
        at = next(place for place, level in enumerate(levels) if line in level)
        usual = statistics.median(gaps) if len(gaps) > _DEPTH else 0.0
        return any(gap >= _APART * usual for gap in gaps[at:_DEPTH])

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
    dropped = {id(line) for side, line in edges.lines if _is_running(edges, side, line, others)}
    kept = tuple(line for line in page.lines if id(line) not in dropped)
    return replace(page, lines=kept) if kept else page


def _is_running(edges: _Edges, side: str, line: PageLine, others: Sequence[_Edges]) -> bool:
    if len(line.text) > _LONGEST or line.cells > 1:
        return False
    number = number_of(line.text)
    if number is not None:
        ahead = number - edges.page.number
        return ahead == 0 or any(ahead in other.numbers for other in others)
    for words, its_ahead in edges.forms(side, line):
        form = (side, words, its_ahead)
        again = sum(
            any(abs(height - line.bottom) <= _SAME_HEIGHT for height in other.by_words.get(form, ()))
            for other in others
        )
        if any(map(str.isalpha, words)) and again >= (2 if len(others) > 2 else 1):
            return True
    return False


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
    """Words of a line without the marks that part them from its page's number."""
    return text.casefold().strip("-–—·|./ \t")


def _levels(lines: Sequence[PageLine]) -> list[list[PageLine]]:
    """Lines by their height on the page, the uppermost first."""
    levels: list[list[PageLine]] = []
    for line in sorted(lines, key=lambda each: -each.bottom):
        if levels and levels[-1][0].bottom - line.bottom < 0.5 * (line.top - line.bottom):
            levels[-1].append(line)
        else:
            levels.append([line])
    return levels
