"""MusicXML and MXL read into a score: the first voice of each part, bar by bar.

What a melody cannot hold (further voices and staves, dynamics, lyrics, slurs, …) is counted in `Part.left_out`. Both
kinds of document are read, `score-partwise` and `score-timewise`, in memory that grows with the notes kept only.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from outcrop.errors import Invalid
from outcrop.music.musicxml_bars import PartReader
from outcrop.music.score import MusicScore, Part
from outcrop.music.score_files import opened
from outcrop.music.xml_elements import elements

_WHOLE = {"measure", "score-part", "work-title", "movement-title", "creator", "credit", "defaults"}
_ROOTS = {"score-partwise", "score-timewise"}


def read_score(path: Path) -> MusicScore:
    """The score in a MusicXML or MXL file.

    Raises Invalid, naming file and reason, where the file is neither, or holds no part with bars.
    """
    reading = _ScoreReader(path.name)
    with opened(path) as file:
        timewise = False
        for around, element in elements(file, _WHOLE, name=path.name):
            if not around and element.tag not in _ROOTS:
                raise Invalid(f"{path.name}: a document of <{element.tag}>, no score. Export it as MusicXML.")
            timewise = timewise or element.tag == "score-timewise"
            if timewise and element.tag == "measure":
                reading.timewise(element)
            else:
                reading.take(element)
    return reading.score()


class _ScoreReader:
    """The parts, title and makers of one score, as far as they are read."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._names: dict[str, str] = {}
        self._parts: dict[str, PartReader] = {}
        self._part = ""
        self._titles: dict[str, str] = {}
        self._makers: list[str] = []

    def take(self, element: Element) -> None:
        match element.tag:
            case "part":
                self._part = element.get("id", "")
            case "measure":
                self._reader(self._part).read(element)
            case "score-part":
                self._names[element.get("id", "")] = (element.findtext("part-name") or "").strip()
            case "work-title" | "movement-title":
                self._titles.setdefault(element.tag, (element.text or "").strip())
            case "creator" if (element.text or "").strip():
                self._makers.append((element.text or "").strip())

    def timewise(self, measure: Element) -> None:
        for part in measure.iterfind("part"):
            part.attrib = {**measure.attrib, "id": part.get("id", "")}
            self._reader(part.get("id", "")).read(part)

    def _reader(self, part: str) -> PartReader:
        if part not in self._parts:
            self._parts[part] = PartReader(f"{self._name}: part {part or '?'}")
        return self._parts[part]

    def score(self) -> MusicScore:
        parts = tuple(self._finished())
        if not parts:
            raise Invalid(f"{self._name}: no part with bars. Export the score as MusicXML again.")
        title = self._titles.get("work-title") or self._titles.get("movement-title") or Path(self._name).stem
        return MusicScore(title=title, makers=tuple(dict.fromkeys(self._makers)), parts=parts)

    def _finished(self) -> Iterator[Part]:
        for identity, reader in self._parts.items():
            yield reader.part(self._names.get(identity) or identity)
