"""Documents of every form give their text with headings, or one sentence that says why not."""

import bz2
import gzip
from pathlib import Path

import pytest

from outcrop.documents import archives
from outcrop.documents.reading import read_document
from outcrop.documents.section import BadDocument, Section, Unread
from tests.support.document_files import docx, dump, epub, paragraph, zipped


def sections_of(path: Path) -> list[tuple[tuple[str, ...], str]]:
    return [(part.headings, part.text) for part in read_document(path) if isinstance(part, Section)]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_plain_text_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", b"\xef\xbb\xbfOne.\r\n\r\nTwo.\rThree.")
    assert sections_of(path) == [((), "One.\n\nTwo.\nThree.")]


def test_utf_16_is_read_where_it_says_so(tmp_path: Path) -> None:
    assert sections_of(written(tmp_path / "a.txt", "吾輩は猫".encode("utf-16"))) == [((), "吾輩は猫")]


def test_long_text_comes_in_parts_that_end_at_blank_lines(tmp_path: Path) -> None:
    text = "".join(f"Paragraph {number} of a long book.\nIt has two lines.\n\n" for number in range(6000))
    parts = list(read_document(written(tmp_path / "a.txt", text)))
    assert len(parts) > 3
    assert all(isinstance(part, Section) and part.text.endswith("\n\n") for part in parts)
    assert "".join(part.text for part in parts if isinstance(part, Section)) == text
    last = parts[-1]
    assert isinstance(last, Section)
    assert last.place == f"line {text[: last.start].count(chr(10)) + 1}"


def test_markdown_has_a_section_for_each_heading_and_none_for_code(tmp_path: Path) -> None:
    text = "Before.\n\n# A *b*\n\nOne.\n\n```sh\n# no heading\n```\n\n## B\n\nTwo.\n\nC\n===\n\n    # code\n"
    assert sections_of(written(tmp_path / "a.md", text)) == [
        ((), "Before.\n\n"),
        (("A *b*",), "# A *b*\n\nOne.\n\n```sh\n# no heading\n```\n\n"),
        (("A *b*", "B"), "## B\n\nTwo.\n\n"),
        (("C",), "C\n===\n\n    # code\n"),
    ]


def test_a_page_is_read_as_a_browser_shows_it(tmp_path: Path) -> None:
    page = """<!doctype html><title>t</title><nav><a href=/>Home</a></nav><h1>The&nbsp;Cat</h1>
    <p>One <b>bold</b>
    word<script>alert(1)</script>.<p>Two<br>lines.<ul><li>a<li>b</ul>
    <table><tr><th>x<th>y<tr><td>1<td>2</table><h2>Sub</h2><pre>  kept
      lines</pre><p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字"""
    assert sections_of(written(tmp_path / "a.html", page)) == [
        (("The Cat",), "The Cat\n\nOne bold word.\n\nTwo\nlines.\n\n- a\n- b\nx | y\n1 | 2\n\n"),
        (("The Cat", "Sub"), "Sub\n\n  kept\n      lines\n\n漢字\n\n"),
    ]


@pytest.mark.parametrize("encoding", ["shift_jis", "euc-jp", "utf-8"])
def test_a_page_is_decoded_as_it_says(tmp_path: Path, encoding: str) -> None:
    page = f'<html><meta http-equiv="Content-Type" content="text/html; charset={encoding}"><p>吾輩は猫である'
    assert sections_of(written(tmp_path / "a.html", page.encode(encoding))) == [((), "吾輩は猫である\n\n")]


def test_a_word_document_has_its_headings_by_their_styles(tmp_path: Path) -> None:
    table = (
        "<w:tbl><w:tr><w:tc>" + paragraph("a") + "</w:tc><w:tc>" + paragraph("b") + "</w:tc></w:tr><w:tr><w:tc>"
        + paragraph("c") + "</w:tc><w:tc>" + paragraph("d") + "</w:tc></w:tr></w:tbl>"
    )  # fmt: skip
    body = (
        paragraph("Title", style="Heading1") + paragraph("One.") + paragraph("item", item=True)
        + "<w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
        + paragraph("Part", style="Mine") + table
    )  # fmt: skip
    assert sections_of(docx(tmp_path / "a.docx", body)) == [
        (("Title",), "Title\n\nOne.\n\n- item\nkept\n\n"),
        (("Title", "Part"), "Part\n\na | b\nc | d\n\n"),
    ]


def test_an_epub_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    path = epub(tmp_path / "a.epub", {"z.xhtml": "<h1>One</h1><p>a", "a%20b.xhtml": "<h1>Two</h1><p>b"})
    with pytest.raises(BadDocument, match=r"^a\.epub: a broken EPUB: it has no OEBPS/a b\.xhtml\. Save it anew\.$"):
        sections_of(path)
    path = epub(tmp_path / "b.epub", {"z.xhtml": "<h1>One</h1><p>a", "a.xhtml": "<h1>Two</h1><p>b"})
    assert sections_of(path) == [(("One",), "One\n\na\n\n"), (("Two",), "Two\n\nb\n\n")]


ARTICLE = """{{Infobox|name={{lang|ja|x}}}}'''Cats''' are [[animal|animals]]{{cite}}.&lt;ref name="a"&gt;A book&lt;/ref&gt;
They sleep.

== Life ==
[[File:Cat.jpg|thumb|A [[cat]] at rest]]
{| class="wikitable"
|-
| cell
|}
* one [https://example.org link]
* two
[[Category:Cats]]
"""


@pytest.mark.parametrize("packed", [lambda text: text, bz2.compress, gzip.compress], ids=["plain", "bz2", "gzip"])
def test_a_dump_gives_its_articles(tmp_path: Path, packed: object) -> None:
    content = dump(("Cat", ARTICLE), ("Kitten", "#REDIRECT [[Cat]]")).encode()
    content = content.replace(b"<title>Kitten</title>", b'<title>Kitten</title><redirect title="Cat"/>')
    parts = list(read_document(written(tmp_path / "d.xml", packed(content))))  # type: ignore[operator]
    assert [(part.headings, part.text) for part in parts if isinstance(part, Section)] == [
        (("Cat",), "Cat\n\nCats are animals. They sleep.\n\n"),
        (("Cat", "Life"), "Life\n\n- one link\n- two\n\n"),
    ]
    assert parts[-1] == Unread(document="d.xml", place="Kitten", reason="a redirect")


def test_lines_of_json_are_documents_each(tmp_path: Path) -> None:
    lines = '{"title": "A", "text": "One."}\n\n{"id": 1}\nno\n{"text": "half \\ud800"}\n'
    parts = list(read_document(written(tmp_path / "a.jsonl", lines)))
    assert [part.headings for part in parts if isinstance(part, Section)] == [("A",)]
    assert [(part.place, part.reason) for part in parts if isinstance(part, Unread)] == [
        ("line 3", "no text under text, input, content, body"),
        ("line 4", "no JSON"),
        ("line 5", "a text with half a character"),
    ]


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
DEEP = "<w:p>" * 2000 + "</w:p>" * 2000
RIGHTS = '<encryption><EncryptedData><CipherData><CipherReference URI="OEBPS/a.xhtml"/></CipherData></EncryptedData></encryption>'


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad documents by name, each with its sentence."""
    return {
        "empty": (written(folder / "a.txt", ""), "an empty file. Leave it out."),
        "blanks": (written(folder / "b.txt", " \n\n"), "an empty file. Leave it out."),
        "binary": (written(folder / "c.txt", b"text\0\1\2"), "binary data, not text. Name a file of text."),
        "Shift_JIS": (
            written(folder / "d.txt", "一行目。\n吾輩は猫である。".encode("cp932")),
            "line 1: not UTF-8, perhaps CP932. Turn it into UTF-8: iconv -f CP932 -t UTF-8 FILE > NEW",
        ),
        "no encoding": (
            written(folder / "d2.txt", b"one\ntwo \x81\xff\xfd three"),
            "line 2: not UTF-8, nor another encoding that is known. Name a file of text.",
        ),
        "old Word": (
            written(folder / "e.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            "an old Office document, or an encrypted one. Save it as DOCX, without a password.",
        ),
        "RTF": (written(folder / "f.rtf", "{\\rtf1 a}"), "a document in RTF. Save it as DOCX."),
        "picture": (
            written(folder / "g.png", b"\x89PNG\r\n"), "a picture. Have it read first: ocrmypdf FILE NEW.pdf."
        ),
        "other zip": (
            zipped(folder / "h.zip", {"a.txt": "a"}),
            "a zip archive. Unpack it, and name the files inside: unzip FILE",
        ),
        "archive within an archive": (
            zipped(folder / "i.zip", {"a.zip": zipped(folder / "j.zip", {"b": "b"}).read_bytes()}),
            "a zip archive. Unpack it, and name the files inside: unzip FILE",
        ),
        "workbook": (
            zipped(folder / "k.xlsx", {"xl/workbook.xml": "a"}),
            "a broken or encrypted workbook: File not found '_rels/.rels'. Save it anew as XLSX.",
        ),
        "cut zip": (
            written(folder / "l.docx", b"PK\x03\x04 and nothing"),
            "a broken Word document: File is not a zip file. Save it anew.",
        ),
        "zip bomb": (
            zipped(folder / "m.docx", {"word/document.xml": b"<a>" + b" " * 3_000_000}),
            "it unpacks to more than 2,000,000 bytes, as no Word document does. Leave it out.",
        ),
        "entities": (
            docx(folder / "n.docx", "", styles=BOMB + "<a>&b;</a>"),
            "word/styles.xml: XML that declares entities of its own, which are not read. Leave it out.",
        ),
        "deep XML": (
            docx(folder / "o.docx", DEEP),
            "word/document.xml: XML nested 500 deep, as no document is. Leave it out.",
        ),
        "broken XML": (
            docx(folder / "p.docx", "<w:p>"),
            "word/document.xml: broken XML at line 1: mismatched tag. Save it anew.",
        ),
        "no text": (docx(folder / "q.docx", "<w:p/>"), "a Word document without text. Leave it out."),
        "EPUB without a book": (
            zipped(folder / "r.epub", {"META-INF/container.xml": "<container/>"}),
            "a broken EPUB: META-INF/container.xml names no book. Save it anew.",
        ),
        "locked EPUB": (
            epub(folder / "s.epub", {"a.xhtml": "<p>a"}, more={"META-INF/encryption.xml": RIGHTS}),
            "an encrypted EPUB, locked to a reader. Take one without such a lock.",
        ),
        "page of a program": (
            written(folder / "t.html", "<html><script>write()</script>"),
            "a page without text; perhaps a program writes it. Save it from a browser.",
        ),
        "other XML": (
            written(folder / "u.xml", "<?xml version='1.0'?><feed/>"),
            "XML of a form that is not read. Plain text, Markdown, HTML, DOCX, EPUB, PDF, CSV, XLSX, dumps of Wikipedia "
            "and JSON Lines are read.",
        ),
        "cut dump": (
            written(folder / "v.xml", dump(("A", "a"))[:-20]),
            "broken XML at line 1: unclosed token. Save it anew.",
        ),
        "cut bz2": (
            written(folder / "w.xml.bz2", bz2.compress(dump(("A", "a")).encode())[:-8]),
            "cannot be unpacked: Compressed file ended before the end-of-stream marker was reached. Fetch it again.",
        ),
        "other gzip": (
            written(folder / "x.gz", gzip.compress(b"text")),
            "compressed, and no dump of Wikipedia. Unpack it: gunzip FILE",
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    return bad_files(tmp_path_factory.mktemp("bad"))


NAMES = (
    "empty blanks binary Shift_JIS|no encoding|old Word|RTF picture|other zip|archive within an archive|workbook|cut zip|"
    "zip bomb|entities|deep XML|broken XML|no text|EPUB without a book|locked EPUB|page of a program|"
    "other XML|cut dump|cut bz2|other gzip"
).replace("empty blanks binary ", "empty|blanks|binary|").replace("RTF picture", "RTF|picture").split("|")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_document_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, bad: dict[str, tuple[Path, str]], name: str
) -> None:
    monkeypatch.setattr(archives, "_MOST_BYTES", 2_000_000)
    path, sentence = bad[name]
    with pytest.raises(BadDocument) as refusal:
        list(read_document(path))
    assert str(refusal.value) == f"{path.name}: {sentence}"


def test_the_table_of_bad_documents_is_whole(bad: dict[str, tuple[Path, str]]) -> None:
    assert sorted(NAMES) == sorted(bad)
