"""HTML read as a document, by a parser that takes any page as a browser does."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from outcrop.documents.headed_text import Block, Sections
from outcrop.documents.section import BadDocument, Section, absent

_MOST_BYTES = 64 * 2**20
_HIDDEN = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "head",
        "nav",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "canvas",
        "form",
        "button",
        "select",
        "textarea",
        "audio",
        "video",
        "footer",
        "aside",
        "rp",
        "rt",
        "-comment",
    ]
)
"What a reader of the page's text does not read: programs, menus, forms, and readings above Japanese letters."
_APART = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "main",
        "header",
        "body",
        "html",
        "blockquote",
        "figure",
        "figcaption",
        "address",
        "dl",
        "dt",
        "dd",
        "ul",
        "ol",
        "li",
        "table",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "caption",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "details",
        "summary",
        "hgroup",
        "fieldset",
        "legend",
        "center",
    ]
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_MOST_DEPTH = 2000


def read_web_page(path: Path) -> Iterator[Section]:
    """The sections of an HTML file. Raises BadDocument for one without text."""
    if path.stat().st_size > _MOST_BYTES:
        raise BadDocument(f"{path.name}: over {_MOST_BYTES:,} bytes of HTML. Part it.")
    sections = list(Sections(path.name).of(blocks_of(path.read_bytes(), name=path.name), place="the page"))
    if not sections:
        raise BadDocument(f"{path.name}: a page without text; perhaps a program writes it. Save it from a browser.")
    yield from sections


def blocks_of(content: bytes, *, name: str) -> Iterator[Block]:
    """The paragraphs and headings of a page's text. Raises BadDocument for bytes that are no text."""
    if find_spec("selectolax") is None:
        raise absent("selectolax", "HTML")
    from selectolax.lexbor import LexborHTMLParser

    root = LexborHTMLParser(_decoded(content, name)).root
    yield from _Walk(name).blocks(root) if root is not None else ()


def _decoded(content: bytes, name: str) -> str:
    named = _CHARSET.search(content[:4096])
    encodings = ["utf-16"] if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig"]
    if named is not None:
        encodings.append(
            "cp932" if named[1].lower().replace(b"-", b"_") in (b"shift_jis", b"sjis") else named[1].decode()
        )
    for encoding in [*encodings, "cp1252"]:
        try:
            text = content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" in text:
            break
        return text
    raise BadDocument(f"{name}: HTML in no encoding that is known. Save it as UTF-8.")


class _Walk:
    """A walk over the elements of a page, which gathers text until an element stands apart."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._text: list[str] = []
        self._cells: list[str] | None = None

    def blocks(self, root: Any) -> Iterator[Block]:
        # By hand and not by recursion: a page may nest as deep as it likes.
        stack: list[tuple[Any, str]] = [(root, "")]
        while stack:
            node, ends = stack.pop()
            if ends:
                yield from self._ended(ends)
                continue
            tag = node.tag or ""
            if tag == "-text":
                self._text.append(node.text_content or "")
            elif tag == "pre":
                yield from self._flushed()
                yield from self._block(Block(_kept_lines(node.text(deep=True))))
            elif tag not in _HIDDEN:
                yield from self._begun(tag)
                stack.append((node, tag))
                children = []
                child = node.child
                while child is not None:
                    children.append((child, ""))
                    child = child.next
                stack += reversed(children)
        yield from self._flushed()

    def _begun(self, tag: str) -> Iterator[Block]:
        if tag == "br":
            self._text.append("\v")
        elif tag in ("td", "th"):
            self._text.append("\x1f")
        elif tag in _APART:
            yield from self._flushed()
            if tag == "li":
                self._text.append("- ")

    def _ended(self, tag: str) -> Iterator[Block]:
        if tag in _HEADINGS:
            yield from self._flushed(level=_HEADINGS[tag])
        elif tag in ("li", "tr"):
            yield from self._flushed(tight=True)
        elif tag in _APART:
            yield from self._flushed()

    def _flushed(self, *, level: int = 0, tight: bool = False) -> Iterator[Block]:
        raw, self._text = "".join(self._text).replace("\xa0", " "), []
        lines = ["" if not part.strip() else _SPACE.sub(" ", part).strip() for part in raw.split("\v")]
        text = "\n".join(line for line in lines if line)
        text = " | ".join(cell.strip() for cell in text.split("\x1f") if cell.strip() or text.count("\x1f") > 1)
        text = text.removeprefix(" | ").strip()
        if text.strip("-| "):
            yield from self._block(Block(text.replace("\n", " ") if level else text, level, tight))

    def _block(self, block: Block) -> Iterator[Block]:
        if block.text.strip():
            yield block


def _kept_lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
