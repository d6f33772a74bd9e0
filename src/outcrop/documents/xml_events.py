"""XML as a stream of events, in constant memory, and without what makes XML dangerous.

A document may declare entities that write themselves a billion times, or that are files of this machine: none of the
forms read here needs any, so a declaration is refused. Names come without their namespace.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple
from xml.parsers import expat

from outcrop.documents.section import BadDocument, reason_of

_MOST_DEPTH = 500


class XmlEvent(NamedTuple):
    """The start or end of an element, or text."""

    kind: str
    "`start`, `end` or `text`."
    name: str
    "Of the element; for text, the text itself."
    attributes: Mapping[str, str] = {}


def events_of(pieces: Generator[bytes, None, None], *, name: str) -> Iterator[XmlEvent]:
    """The events of an XML file that comes in pieces. Raises BadDocument naming the file as `name`."""
    events: list[XmlEvent] = []
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    depth = 0

    def start(element: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise BadDocument(f"{name}: XML nested {_MOST_DEPTH} deep, as no document is. Leave it out.")
        events.append(XmlEvent("start", _local(element), {_local(key): value for key, value in attributes.items()}))

    def end(element: str) -> None:
        nonlocal depth
        depth -= 1
        events.append(XmlEvent("end", _local(element)))

    def entity(*_declared: object) -> None:
        raise BadDocument(f"{name}: XML that declares entities of its own, which are not read. Leave it out.")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: events.append(XmlEvent("text", text))
    parser.EntityDeclHandler = entity
    try:
        with closing(pieces):  # an error leaves no file open behind it
            for piece in pieces:
                parser.Parse(piece, False)
                yield from events
                events.clear()
        parser.Parse(b"", True)
        yield from events
    except expat.ExpatError as error:
        yield from events
        what = expat.ErrorString(error.code)
        raise BadDocument(f"{name}: broken XML at line {error.lineno}: {what}. Save it anew.") from error
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise BadDocument(f"{name}: broken XML: {reason_of(error)}. Save it anew.") from error


def _local(name: str) -> str:
    return name.rpartition("}")[2]
