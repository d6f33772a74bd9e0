"""MediaWiki's markup taken off an article: what a reader of the page reads stays.

Templates, tables, references, files and categories go; headings, paragraphs, lists and the words of links stay.
Templates are not expanded: only the wiki itself could.
"""

import html
import re
from collections.abc import Iterator

from outcrop.documents.headed_text import Block

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DROPPED = re.compile(
    r"<(ref|math|gallery|timeline|score|syntaxhighlight|source|imagemap|templatestyles|hiero|graph|mapframe)\b"
    r"(?:[^<>]*/>|[^<>]*>.*?</\1\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,1000}>")
_OPENING = re.compile(r"\{\{|\{\||\}\}|\|\}")
_LINK = re.compile(r"\[\[([^\[\]\n]{0,2000})\]\]")
_OUTSIDE = re.compile(r"\[(?:https?:|ftp:|mailto:)?//?[^\s\]]*\s*([^\]\n]*)\]")
_EMPHASIS = re.compile(r"'{2,5}")
_HEADING = re.compile(r"(={1,6})\s*(.+?)\s*\1\s*")
_SWITCH = re.compile(r"__[A-Z]+__")
_BESIDE = re.compile(
    r"(?:file|image|category|media|ファイル|画像|カテゴリ|fichier|datei|bild|kategorie|archivo|categoría|catégorie)\s*:",
    re.IGNORECASE,
)
_PARENTHESES = re.compile(r"[ 　]?[(（][\s、,;；：:]*[)）]")


def blocks_of_wikitext(title: str, text: str) -> Iterator[Block]:
    """The headings and paragraphs of an article, its title first."""
    yield Block(title, 1)
    paragraph: list[str] = []
    for line in _plain(text).split("\n"):
        heading = _HEADING.fullmatch(line.strip())
        item = line[:1] in "*#:;" and line.lstrip("*#:; ")
        if heading is None and line.strip() and not item:
            paragraph.append(line.strip())
            continue
        if paragraph:
            yield Block(" ".join(paragraph))
            paragraph = []
        if heading is not None:
            yield Block(heading[2].strip(), max(2, len(heading[1])))
        elif item:
            yield Block(f"- {item.strip()}" if line[0] in "*#" else item.strip(), tight=True)
    if paragraph:
        yield Block(" ".join(paragraph))


def _plain(text: str) -> str:
    text = _DROPPED.sub("", _COMMENT.sub("", text))
    text = _without_nested(text)
    text = _without_links(text)
    text = _OUTSIDE.sub(lambda found: found[1], text)
    text = _SWITCH.sub("", _EMPHASIS.sub("", _TAG.sub("", text)))
    return _PARENTHESES.sub("", html.unescape(text).replace("\xa0", " "))


def _without_nested(text: str) -> str:
    """The text without templates and tables, which stand in each other. An opening that is never closed stays."""
    kept: list[str] = []
    opened: list[tuple[str, int]] = []
    "Openings that wait for their end, each with the number of pieces kept before it."
    at = 0
    for found in _OPENING.finditer(text):
        kept.append(text[at : found.start()])
        at = found.end()
        sign = found[0]
        if sign in ("{{", "{|"):
            opened.append((sign, len(kept)))
        elif opened and opened[-1][0] == ("{{" if sign == "}}" else "{|"):
            del kept[opened.pop()[1] :]
            continue
        kept.append(sign)
    kept.append(text[at:])
    return "".join(kept)


def _without_links(text: str) -> str:
    """The text with its links as their words; they nest in captions of pictures, so the innermost go first."""
    for _ in range(5):
        shorter = _LINK.sub(lambda found: _words_of_link(found[1]), text)
        if shorter == text:
            break
        text = shorter
    return text


def _words_of_link(inside: str) -> str:
    if _BESIDE.match(inside):
        return ""
    return inside.rpartition("|")[2].strip() or inside.partition("|")[0].lstrip(":").strip()
