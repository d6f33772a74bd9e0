"""XML read element by element, in memory that does not grow with the file, and without entities.

Python's own expat does the parsing. A document type may be named, as MusicXML files do; it is never fetched, and a
document that declares entities of its own is refused, since a few lines of them can unfold to gigabytes.
"""

from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from outcrop.errors import Invalid

CHUNK_BYTES = 1 << 16
MOST_DEPTH = 100
MOST_IN_ELEMENT = 200_000
"Elements inside one bar or one header; the fullest bars of orchestral scores hold some thousands."


def elements(file: IO[bytes], names: set[str], *, name: str) -> Iterator[tuple[list[str], Element]]:
    """The outermost elements of the given names, each whole, with the path that led to it.

    The path holds the names of the elements around it, the document's first. Elements outside the given names are
    told when they begin, empty but for their attributes, so that a caller knows in which part it reads.
    """
    reading = _XmlReader(names, name)
    while chunk := file.read(CHUNK_BYTES):
        reading.feed(chunk, final=False)
        yield from reading.taken()
    reading.feed(b"", final=True)
    yield from reading.taken()


class _XmlReader:
    """The state of one document between two chunks."""

    def __init__(self, names: set[str], name: str) -> None:
        self._names = names
        self._name = name
        self._path: list[str] = []
        self._builder: TreeBuilder | None = None
        self._inside = 0
        self._count = 0
        self._outermost = ""
        self._found: list[tuple[list[str], Element]] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity

    def feed(self, chunk: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as wrong:
            raise Invalid(
                f"{self._name}:{wrong.lineno}: not XML: {expat.ErrorString(wrong.code)}. "
                "Export the score as MusicXML again."
            ) from wrong

    def taken(self) -> Iterator[tuple[list[str], Element]]:
        yield from self._found
        self._found.clear()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._path) + self._inside > MOST_DEPTH:
            raise Invalid(f"{self._name}: elements stand {MOST_DEPTH} deep in one another. This is no score.")
        if self._builder is None:
            if tag not in self._names:
                self._found.append((list(self._path), Element(tag, attributes)))
                self._path.append(tag)
                return
            self._builder, self._count, self._outermost = TreeBuilder(), 0, tag
        self._inside += 1
        self._count += 1
        if self._count > MOST_IN_ELEMENT:
            raise Invalid(
                f"{self._name}: more than {MOST_IN_ELEMENT:,} elements in one <{self._outermost}>. This is no score."
            )
        self._builder.start(tag, attributes)

    def _end(self, tag: str) -> None:
        if self._builder is None:
            self._path.pop()
            return
        self._builder.end(tag)
        self._inside -= 1
        if not self._inside:
            self._found.append((list(self._path), self._builder.close()))
            self._builder = None

    def _text(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)

    def _entity(self, entity: str, *_: object) -> None:
        raise Invalid(f"{self._name}: declares the entity '{entity}'. Remove the declaration; scores need none.")
