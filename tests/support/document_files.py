"""Documents made by hand: DOCX, EPUB and zip archives, for tests of reading them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
STYLES = (
    f'<w:styles {_W}><w:style w:styleId="Heading1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr>'
    '</w:style><w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Mine"><w:name w:val="My own"/><w:basedOn w:val="berschrift2"/></w:style></w:styles>'
)


def zipped(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """A zip archive of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def docx(path: Path, body: str, *, styles: str = STYLES) -> Path:
    """A Word document with this body, in WordprocessingML without its namespace's declaration."""
    content = f"<?xml version='1.0' encoding='UTF-8'?><w:document {_W}><w:body>{body}</w:body></w:document>"
    return zipped(path, {"word/document.xml": content, "word/styles.xml": styles})


def paragraph(text: str, *, style: str = "", item: bool = False) -> str:
    """A paragraph of a Word document."""
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    properties += '<w:numPr><w:ilvl w:val="0"/></w:numPr>' if item else ""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def epub(path: Path, chapters: Mapping[str, str], *, more: Mapping[str, str] | None = None) -> Path:
    """An EPUB with these chapters of XHTML, in their order."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine></package>'
    )
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": package,
        **{f"OEBPS/{name}": f"<html><body>{body}</body></html>" for name, body in chapters.items()},
        **(more or {}),
    }
    return zipped(path, members)


def dump(*pages: tuple[str, str], namespace: int = 0) -> str:
    """A dump of MediaWiki with these articles, each a title and a text."""
    inside = "".join(
        f"<page><title>{title}</title><ns>{namespace}</ns><revision><id>1</id><model>wikitext</model>"
        f'<text bytes="1" xml:space="preserve">{text}</text></revision></page>'
        for title, text in pages
    )
    return f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">{inside}</mediawiki>'
