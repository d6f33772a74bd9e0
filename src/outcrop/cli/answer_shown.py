"""An answer on a terminal: numbers of passages behind each sentence, and beneath it what these passages say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len

from outcrop.documents.sentences import sentences_of
from outcrop.knowledge.answering.terms import terms_of
from outcrop.knowledge.reserved import CHUNK_ID, PAGE_NUMBER
from outcrop.knowledge.retrieving import HEADINGS

_INDENT = "    "
_WIDE_ENDS = tuple("。！？．｡")
_WORDS = re.compile(r"\n|[^\S\n]+|\S+")


@dataclass
class _Cited:
    """A passage that sentences of an answer refer to."""

    number: int
    reference: Mapping[str, Any]
    claims: list[str] = field(default_factory=list)


class AnswerShown:
    """Prints an answer as it is made, sentence by sentence, and its passages at the end.

    `width` is the terminal's; None: lines are as long as they are. `full` shows passages whole, else the sentences that
    claims stand on.
    """

    def __init__(self, *, width: int | None, full: bool) -> None:
        self._width = width
        self._full = full
        self._column = 0
        self._blanks = ""
        "Those behind the last word; at the end of a line they are not printed."
        self._cited: dict[object, _Cited] = {}

    @property
    def has_passages(self) -> bool:
        """Whether anything in the answer stands on a passage."""
        return bool(self._cited)

    def add(self, citation: Mapping[str, Any]) -> None:
        """Print the next part of the answer."""
        text = citation["generatedResponsePart"]["textResponsePart"]["text"]
        numbers = [self._number(reference, text) for reference in citation["retrievedReferences"]]
        said = text.rstrip()
        marks = "".join(f"[{number}]" for number in sorted(set(numbers)))
        gap = "" if not marks or said.endswith(_WIDE_ENDS) else " "
        for piece in _WORDS.findall(f"{said}{gap}{marks}{text[len(said) :]}"):
            self._print(piece)

    def finish(self) -> None:
        """Print the passages."""
        print()
        for cited in self._cited.values():
            print()
            for line in _passage_lines(cited, self._width, full=self._full):
                print(line)

    def _number(self, reference: Mapping[str, Any], claim: str) -> int:
        key = reference.get("metadata", {}).get(CHUNK_ID) or (str(reference["location"]), reference["content"]["text"])
        cited = self._cited.setdefault(key, _Cited(number=len(self._cited) + 1, reference=reference))
        cited.claims.append(claim)
        return cited.number

    def _print(self, piece: str) -> None:
        """Print a word, or the blanks behind one; a word that does not fit begins a line."""
        if piece == "\n":
            print()
            self._column, self._blanks = 0, ""
        elif piece.isspace():
            self._blanks = piece if self._column else ""
        else:
            if self._width is not None and self._column + cell_len(self._blanks + piece) > self._width:
                self._blanks = ""
                if self._column:
                    print()
                self._column = 0
            print(f"{self._blanks}{piece}", end="", flush=True)
            self._column += cell_len(self._blanks + piece)
            self._blanks = ""


def _passage_lines(cited: _Cited, width: int | None, *, full: bool) -> Iterator[str]:
    reference = cited.reference
    metadata, text = reference.get("metadata", {}), reference["content"]["text"]
    yield f"[{cited.number}] {source_of(reference['location'])}"
    place = [" > ".join(metadata.get(HEADINGS, ()))]
    if PAGE_NUMBER in metadata:
        place.append(f"page {metadata[PAGE_NUMBER]:.0f}")
    if any(place):
        yield from wrapped(", ".join(filter(None, place)), width)
    yield from wrapped(text.strip() if full else excerpt(text, cited.claims), width)


def source_of(location: Mapping[str, Any]) -> str:
    """The URI of a document, or the id that its owner gave it."""
    if "s3Location" in location:
        return str(location["s3Location"]["uri"])
    return str(location["customDocumentLocation"]["id"])


def excerpt(passage: str, claims: Sequence[str]) -> str:
    """The sentences of a passage that say most of what the claims say, with … where others stand beside them."""
    sentences = [sentence.strip() for sentence in sentences_of(passage) if sentence.strip()]
    places = sorted({_closest(sentences, claim) for claim in claims})
    if not sentences:
        return passage
    shown = "" if places[0] == 0 else "… "
    for before, place in zip([places[0] - 1, *places], places, strict=False):
        shown += ("" if place == before + 1 else " …") + (" " if place != places[0] else "") + sentences[place]
    return shown if places[-1] == len(sentences) - 1 else f"{shown} …"


def _closest(sentences: Sequence[str], claim: str) -> int:
    wanted = terms_of(claim).terms
    shares = [len(terms_of(sentence).terms & wanted) for sentence in sentences]
    return shares.index(max(shares)) if shares else 0


def wrapped(text: str, width: int | None) -> Iterator[str]:
    """The lines of a text, indented; words are kept whole, and scripts without blanks are broken anywhere."""
    for paragraph in filter(None, map(str.strip, text.splitlines())):
        line, column = "", 0
        for piece in re.findall(r"\s+|[^\s⺀-鿿゠-ヿ぀-ゟ＀-￯]+|.", paragraph):
            if width is not None and column and len(_INDENT) + column + cell_len(piece) > width:
                yield _INDENT + line.rstrip()
                line, column = "", 0
            if line or not piece.isspace():
                line, column = line + piece, column + cell_len(piece)
        yield _INDENT + line.rstrip()
