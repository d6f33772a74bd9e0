"""Markdown read as a document: its text as it is written, in a section for each heading."""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from outcrop.documents.plain_text import letters_of
from outcrop.documents.section import BadDocument, Section, absent

_MOST_LETTERS = 64 * 2**20


def read_markdown(path: Path) -> Iterator[Section]:
    """The sections of a Markdown file. Raises BadDocument for one that is no text, or too large to be one document."""
    if find_spec("markdown_it") is None:
        raise absent("markdown-it-py", "Markdown")
    text = ""
    for piece in letters_of(path):
        text += piece
        if len(text) > _MOST_LETTERS:
            raise BadDocument(f"{path.name}: over {_MOST_LETTERS:,} letters of Markdown. Name it .txt, or part it.")
    yield from sections_of(text, document=path.name)


def sections_of(text: str, *, document: str) -> Iterator[Section]:
    """The sections of a Markdown text; their texts in a row are the whole."""
    lines = text.splitlines(keepends=True)
    path: list[tuple[int, str]] = []
    first = start = 0
    for line, level, title in [*_headings(text), (len(lines), 0, "")]:
        part = "".join(lines[first:line])
        if part:
            headings = tuple(each for _, each in path)
            yield Section(document=document, headings=headings, place=f"line {first + 1}", start=start, text=part)
        start += len(part)
        first = line
        path = [*(each for each in path if each[0] < level), (level, title)]


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, level and title of every heading that is no part of a list, a quotation or code."""
    from markdown_it import MarkdownIt

    # Lines are counted as Markdown does: it knows no other end of a line than LF.
    parser = MarkdownIt("zero").enable(["heading", "lheading", "fence", "code", "html_block", "list", "blockquote"])
    tokens = parser.parse(text.translate(_LINE_ENDS))
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            yield token.map[0], int(token.tag[1]), inline.content.strip()


_LINE_ENDS = dict.fromkeys(map(ord, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), "\n")
"What `splitlines` takes for the end of a line, and Markdown does not."
