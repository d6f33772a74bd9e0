"""Files of ABC: their tunes one at a time, each with its header."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.music.abc_fields import parse_key, parse_metre, parse_unit, usual_unit
from outcrop.music.abc_reading import AbcMusic, read_music
from outcrop.music.keys import C_MAJOR, Key
from outcrop.music.score import Metre, MusicScore

MOST_TUNE_CHARACTERS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class AbcTune:
    """A tune of a file: its score, the line where it begins, and what in it could not be read."""

    score: MusicScore
    line: int
    number: str
    music: AbcMusic


@dataclass(kw_only=True)
class _Header:
    number: str
    line: int
    titles: list[str] = field(default_factory=list)
    makers: list[str] = field(default_factory=list)
    key: Key = C_MAJOR
    metre: Metre | None = None
    unit: Fraction | None = None
    voice: str | None = None
    is_done: bool = False


def tunes(path: Path, *, quote: str = '"') -> Iterator[AbcTune]:
    """The tunes of a file, in order; text outside of tunes is passed over.

    Raises Invalid, naming the line, where a tune is longer than any tune is.
    """
    reading: _TuneLines | None = None
    # Old collections are in Latin-1, and only their titles hold letters beyond ASCII.
    with path.open("r", encoding="utf-8-sig", errors="replace", newline=None) as file:
        for number, line in enumerate(_bounded(file, path.name), start=1):
            text = line.rstrip("\n")
            if text.startswith("X:"):
                if reading:
                    yield reading.tune(quote)
                reading = _TuneLines(path.name, text[2:].strip(), number)
            elif reading:
                reading.take(text)
    if reading:
        yield reading.tune(quote)


def _bounded(file: Iterator[str], name: str) -> Iterator[str]:
    read: Iterator[str] = iter(lambda: file.readline(MOST_TUNE_CHARACTERS), "")  # type: ignore[attr-defined]
    for number, line in enumerate(read, start=1):
        if len(line) >= MOST_TUNE_CHARACTERS:
            raise Invalid(f"{name}:{number}: a line of over {MOST_TUNE_CHARACTERS:,} characters. This is no tune.")
        yield line


class _TuneLines:
    """The lines of one tune."""

    def __init__(self, name: str, number: str, line: int) -> None:
        self._name = name
        self._header = _Header(number=number, line=line)
        self._body: list[str] = []
        self._size = 0
        self._melody_voice: str | None = None
        self._voice: str | None = None
        self._ended = False

    def take(self, text: str) -> None:
        if self._ended or text.startswith("%"):
            return
        if not text.strip():
            self._ended = self._header.is_done
            return
        self._size += len(text)
        if self._size > MOST_TUNE_CHARACTERS:
            raise Invalid(
                f"{self._name}:{self._header.line}: a tune of over {MOST_TUNE_CHARACTERS:,} characters. Divide it."
            )
        text = _without_comment(text)
        if len(text) > 1 and text[1] == ":" and (text[0].isalpha() or text[0] == "+") and text[0] not in "|:":
            self._field(text[0], text[2:].strip())
        elif self._voice == self._melody_voice:
            self._body.append(text)

    def _field(self, letter: str, value: str) -> None:
        header = self._header
        if letter == "V":
            self._voice = value.split()[0] if value.split() else ""
            self._melody_voice = self._melody_voice or self._voice
        elif header.is_done:
            if letter in "KML":
                self._body.append(f"[{letter}:{value.replace(']', '')}]")
        elif letter == "T":
            header.titles.append(value)
        elif letter == "C":
            header.makers.append(value)
        elif letter == "M":
            header.metre = parse_metre(value)
        elif letter == "L":
            header.unit = parse_unit(value)
        elif letter == "K":
            header.key = parse_key(value)
            header.is_done = True

    def tune(self, quote: str) -> AbcTune:
        header = self._header
        music = read_music(
            "\n".join(self._body),
            key=header.key,
            metre=header.metre,
            unit=header.unit or usual_unit(header.metre),
            quote=quote,
            name=header.titles[0] if header.titles else header.number,
        )
        title = header.titles[0] if header.titles else f"{Path(self._name).stem} {header.number}"
        score = MusicScore(title=title, makers=tuple(header.makers), parts=(music.part,))
        return AbcTune(score=score, line=header.line, number=header.number, music=music)


def _without_comment(text: str) -> str:
    for index, character in enumerate(text):
        if character == "%" and (index == 0 or text[index - 1] != "\\"):
            return text[:index]
    return text
