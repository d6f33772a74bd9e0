"""Paragraphs of a PDF page: lines joined, words parted at their ends made whole, headings told by their size."""

import re
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from outcrop.documents.pdf.letters import HYPHEN, is_leftward, is_wide
from outcrop.documents.pdf.page_layout import PageLine

_ENDS = tuple(".!?:;…。！？」』）”؟।")
_LIST = re.compile(r"(?:[•●▪‣◦∙–—*-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)])\s", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"[^\W\d_]+$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_PRESENTED = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufdfb\ufe70-\ufefc\u2f00-\u2fd5]+")
"Ligatures, forms that Arabic letters take beside each other, and radicals that some fonts use for the letters."
_SYMBOLS = str.maketrans({"\uf0b7": "•", "\uf0a7": "▪", "\u00ad": None, "\ufffe": None, "\uffff": None})
_LARGER = 1.15
_HEADING_LETTERS = 200
_MOST_WORDS = 300_000


class Paragraph(NamedTuple):
    """Lines of a page that belong together."""

    text: str
    is_heading: bool
    size: float
    "Height of its lines, by which headings have their rank."
    is_open: bool
    "Whether it may go on in the next column, or on the next page."
    begins_within: bool
    "Whether it may be the end of what the paragraph before began."


@dataclass
class BookWords:
    """Words that a document has used so far; they tell whether a word has a hyphen of its own."""

    plain: set[str] = field(default_factory=set)
    hyphened: set[str] = field(default_factory=set)

    def learn(self, lines: Sequence[PageLine]) -> None:
        for line in lines:
            inner = line.text.removesuffix(HYPHEN)
            for word in _WORD.findall(inner.casefold()):
                known = self.hyphened if "-" in word else self.plain
                if len(known) < _MOST_WORDS:
                    known.add(word)

    def joined(self, before: str, after: str) -> str:
        """Two lines of one paragraph as one text."""
        if not before.endswith((HYPHEN, "-")) or not after:
            return before + _between(before, after) + after
        start = before[:-1]
        first, last = _LAST_WORD.search(start), _FIRST_WORD.match(after)
        if first is None or last is None:
            return f"{start}-{after}"
        whole, parted = f"{first[0]}{last[0]}".casefold(), f"{first[0]}-{last[0]}".casefold()
        if not after[0].islower() or (parted in self.hyphened and whole not in self.plain):
            return f"{start}-{after}"
        if before.endswith("-") and whole not in self.plain and len(first[0]) < 2:
            return f"{start}-{after}"
        return start + after


def clean(text: str) -> str:
    """A line's text with its ligatures taken apart, and without signs that mean nothing."""
    text = _PRESENTED.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text.translate(_SYMBOLS))
    return "".join(char for char in text if char >= " " or char == "\t").strip()


def body_size(lines: Sequence[PageLine]) -> float:
    """The height of most letters of a page."""
    return statistics.median([_size(line) for line in lines for _ in range(len(line.text) // 10 + 1)])


def paragraphs_of(lines: Sequence[PageLine], vocabulary: BookWords, *, body: float) -> Iterator[Paragraph]:
    """The paragraphs of a page, in order. `body` is the height of the document's usual letters."""
    cleaned = [line._replace(text=text) for line in lines if (text := clean(line.text))]
    vocabulary.learn(cleaned)
    group: list[PageLine] = []
    edges = _block_edges(cleaned)
    for line in cleaned:
        if group and _begins(line, group, edges):
            yield _paragraph(group, vocabulary, body, edges)
            group = []
        group.append(line)
    if group:
        yield _paragraph(group, vocabulary, body, edges)


class _Block(NamedTuple):
    left: float
    right: float
    pitch: float
    "From a line to the next."


def _block_edges(lines: Sequence[PageLine]) -> dict[int, _Block]:
    blocks: dict[int, list[PageLine]] = {}
    for line in lines:
        blocks.setdefault(line.block, []).append(line)
    return {number: _edges_of(block) for number, block in blocks.items()}


def _edges_of(block: Sequence[PageLine]) -> _Block:
    steps = sorted(step for before, line in pairwise(block) if (step := before.bottom - line.bottom) > 1)
    pitch = steps[len(steps) // 3] if steps else 0.0
    return _Block(min(line.left for line in block), max(line.right for line in block), pitch)


def _begins(line: PageLine, group: Sequence[PageLine], edges: dict[int, _Block]) -> bool:
    """Whether a line begins a paragraph of its own."""
    last = group[-1]
    block, size = edges[last.block], max(_size(last), _size(line))
    if line.cells > 1 or last.cells > 1:
        return not (line.cells > 1 and last.cells > 1)
    if line.block != last.block:
        return not _goes_on(last, line)
    step = last.bottom - line.bottom
    if step > 1.3 * max(block.pitch, size) or _other_size(group, line) or _LIST.match(line.text):
        return True
    leftward = _is_leftward_text(line.text)
    indent, before = _indent(line, block, leftward=leftward), _indent(last, block, leftward=leftward)
    if len(group) > 1 and abs(indent - before) > 0.8 * size:
        return True  # a first line that stands in, or out
    short = _shortness(last, block, leftward=leftward) > 0.1 * (block.right - block.left)
    return short and last.text.endswith(_ENDS) and abs(indent - before) < 0.5 * size


def _goes_on(last: PageLine, line: PageLine) -> bool:
    within = not last.text.endswith(_ENDS) and _starts_within(line.text)
    return within and abs(_size(last) - _size(line)) < 0.12 * _size(last)


def _other_size(group: Sequence[PageLine], line: PageLine) -> bool:
    return not 0.87 < _size(line) / _size(group[-1]) < 1.15


def _indent(line: PageLine, block: _Block, *, leftward: bool) -> float:
    return block.right - line.right if leftward else line.left - block.left


def _shortness(line: PageLine, block: _Block, *, leftward: bool) -> float:
    return line.left - block.left if leftward else block.right - line.right


def _paragraph(group: Sequence[PageLine], vocabulary: BookWords, body: float, edges: dict[int, _Block]) -> Paragraph:
    is_table = group[0].cells > 1
    text = group[0].text
    for before, line in pairwise(group):
        block = edges[before.block]
        verse = not text.endswith((HYPHEN, "-")) and not is_wide(text[-1]) and _is_verse(before, block)
        text = f"{text}\n{line.text}" if is_table or verse else vocabulary.joined(text, line.text)
    size = statistics.median_low([_size(line) for line in group])
    large = size > _LARGER * body and len(text) <= _HEADING_LETTERS and not text.endswith((".", "。", ",", "、"))
    return Paragraph(
        text=text,
        is_heading=large and not is_table and len(group) <= 3 and sum(map(str.isalpha, text)) > 1,
        size=size,
        is_open=not is_table and not text.endswith(_ENDS),
        begins_within=not is_table and _starts_within(text),
    )


def _is_verse(line: PageLine, block: _Block) -> bool:
    """Whether a line ends long before the margin: its end was meant."""
    return block.right - line.right > 0.35 * (block.right - block.left)


def _starts_within(text: str) -> bool:
    return text[0].islower() or (is_wide(text[0]) and not _LIST.match(text))


def _between(before: str, after: str) -> str:
    return "" if not after or (is_wide(before[-1]) and is_wide(after[0])) else " "


def _is_leftward_text(text: str) -> bool:
    return 2 * sum(map(is_leftward, text)) > sum(map(str.isalpha, text))


def _size(line: PageLine) -> float:
    return max(line.size, 0.1)
