"""Chord symbols: MusicXML's kinds, their text as in lead sheets, and their tones.

`Am7b5` and MusicXML's half-diminished on A are one value here. A text that names no chord is kept as it stands.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from outcrop.music.keys import Spelling, Transposition

NO_CHORD = "none"
OTHER = "other"

KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "major": ("", (0, 4, 7)),
    "minor": ("m", (0, 3, 7)),
    "augmented": ("aug", (0, 4, 8)),
    "diminished": ("dim", (0, 3, 6)),
    "dominant": ("7", (0, 4, 7, 10)),
    "major-seventh": ("maj7", (0, 4, 7, 11)),
    "minor-seventh": ("m7", (0, 3, 7, 10)),
    "diminished-seventh": ("dim7", (0, 3, 6, 9)),
    "augmented-seventh": ("aug7", (0, 4, 8, 10)),
    "half-diminished": ("m7b5", (0, 3, 6, 10)),
    "major-minor": ("mMaj7", (0, 3, 7, 11)),
    "major-sixth": ("6", (0, 4, 7, 9)),
    "minor-sixth": ("m6", (0, 3, 7, 9)),
    "dominant-ninth": ("9", (0, 4, 7, 10, 2)),
    "major-ninth": ("maj9", (0, 4, 7, 11, 2)),
    "minor-ninth": ("m9", (0, 3, 7, 10, 2)),
    "dominant-11th": ("11", (0, 4, 7, 10, 2, 5)),
    "major-11th": ("maj11", (0, 4, 7, 11, 2, 5)),
    "minor-11th": ("m11", (0, 3, 7, 10, 2, 5)),
    "dominant-13th": ("13", (0, 4, 7, 10, 2, 5, 9)),
    "major-13th": ("maj13", (0, 4, 7, 11, 2, 5, 9)),
    "minor-13th": ("m13", (0, 3, 7, 10, 2, 5, 9)),
    "suspended-second": ("sus2", (0, 2, 7)),
    "suspended-fourth": ("sus4", (0, 5, 7)),
    "power": ("5", (0, 7)),
}
"MusicXML's kinds of chord: text after the root, and tones in semitones above it."
SPELLED_OTHERWISE = {
    "suspended-fourth": ["sus"],
    "minor": ["min", "mi", "-"],
    "major": ["maj", "ma", "M"],
    "augmented": ["+", "a"],
    "diminished": ["o", "°", "d"],
    "major-seventh": ["Maj7", "ma7", "M7", "Δ7", "Δ", "j7"],
    "minor-seventh": ["min7", "mi7", "-7"],
    "minor-sixth": ["min6", "mi6", "-6"],
    "major-sixth": ["maj6", "M6"],
    "diminished-seventh": ["o7", "°7"],
    "augmented-seventh": ["+7", "7+", "7aug", "a7"],
    "half-diminished": ["min7b5", "mi7b5", "-7b5", "ø7", "ø"],
    "major-minor": ["mmaj7", "mM7", "minMaj7", "m(maj7)", "m(Maj7)", "-Maj7"],
    "major-ninth": ["Maj9", "ma9", "M9"],
    "minor-ninth": ["min9", "mi9", "-9"],
    "major-11th": ["Maj11", "ma11", "M11"],
    "minor-11th": ["min11", "mi11"],
    "major-13th": ["Maj13", "ma13", "M13"],
    "minor-13th": ["min13", "mi13"],
}
_KIND_OF = {text: kind for kind, (text, _) in KINDS.items()} | {
    text: kind for kind, texts in SPELLED_OTHERWISE.items() for text in texts
}
_KIND_TEXTS = sorted(_KIND_OF, key=len, reverse=True)
_ROOT = re.compile(r"([A-G])(##|#|bb|b|♯|♭|=)?")
_BASS = re.compile(r"([A-Ga-g])(##|#|bb|b|♯|♭|\+)?")
_DEGREE = re.compile(r"(?P<type>add|no|omit)?(?P<alter>[#b♯♭]*)(?P<value>1[013]|[2-79])")
_SUS = re.compile(r"sus(?P<which>[24]?)")
_ALTERS = {"": 0, None: 0, "=": 0, "#": 1, "♯": 1, "+": 1, "##": 2, "b": -1, "♭": -1, "bb": -2}
_DEGREE_TONES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 10, 9: 2, 10: 4, 11: 5, 13: 9}
_SUSPENDED_DEGREES = {7: (7,), 9: (7, 9), 13: (7, 9, 13)}
"Degrees that a number before `sus` stands for: 7sus4 is a suspended fourth with a seventh."


class Degree(NamedTuple):
    """A tone added to a chord's kind, altered in it, or left out of it."""

    value: int
    alter: int
    type: str
    "add, alter or subtract."


@dataclass(frozen=True, kw_only=True)
class ChordSymbol:
    """A chord symbol of a lead sheet."""

    root: Spelling | None
    "None: no chord, or a text that names none."
    kind: str
    degrees: tuple[Degree, ...] = ()
    bass: Spelling | None = None
    text: str = ""
    "The text itself, where `kind` is OTHER."

    def __str__(self) -> str:
        if self.root is None:
            return self.text if self.kind == OTHER else "N.C."
        bass = f"/{self.bass}" if self.bass else ""
        return f"{self.root}{self._suffix()}{bass}"

    def _suffix(self) -> str:
        if self.kind not in KINDS:
            return self.text
        suspended = self.kind.startswith("suspended")
        base = KINDS[self.kind][0]
        degrees = list(self.degrees)
        plain = tuple(degree.value for degree in degrees if degree == (degree.value, 0, "add"))
        if suspended:
            for number, values in sorted(_SUSPENDED_DEGREES.items(), reverse=True):
                if set(values) <= set(plain):
                    base = f"{number}{base}"
                    degrees = [each for each in degrees if each not in [(value, 0, "add") for value in values]]
                    break
        told = "".join(_degree_text(degree) for degree in degrees)
        # A flat right behind the root's letter would be the root's: C(b9), not Cb9.
        return f"({told})" if not base and told[:1] in ("b", "#") else base + told

    @property
    def tones(self) -> frozenset[int] | None:
        """Pitch classes of the chord, its bass among them; None where the text names no chord."""
        if self.root is None or self.kind not in KINDS:
            return None
        intervals = set(KINDS[self.kind][1])
        for value, alter, type_ in self.degrees:
            natural = _DEGREE_TONES.get(value, 0)
            if type_ == "subtract":
                intervals -= {natural, *((natural - 1, natural + 1) if value == 3 else ())}
            else:
                if type_ == "alter" or value == 5:
                    intervals.discard(natural)
                intervals.add((natural + alter) % 12)
        tones = {(self.root.pitch_class + interval) % 12 for interval in intervals}
        return frozenset(tones | ({self.bass.pitch_class} if self.bass else set()))

    def transposed(self, by: Transposition) -> "ChordSymbol":
        """A chord of this kind on the root moved."""
        return ChordSymbol(
            root=by.of_spelling(self.root) if self.root else None,
            kind=self.kind,
            degrees=self.degrees,
            bass=by.of_spelling(self.bass) if self.bass else None,
            text=self.text,
        )


@lru_cache(maxsize=4096)
def parse_chord(text: str) -> ChordSymbol:
    """The chord that a text such as `F#m7b5/C` names; kind OTHER where it names none, NO_CHORD for `N.C.`."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):  # A chord that may be left out.
        text = text[1:-1]
    if text.upper().replace(".", "").replace(" ", "") in ("NC", "NOCHORD"):
        return ChordSymbol(root=None, kind=NO_CHORD)
    root = _ROOT.match(text)
    if not root:
        return ChordSymbol(root=None, kind=OTHER, text=text)
    suffix, bass = _without_bass(text[root.end() :])
    spelled = Spelling(root[1], _ALTERS[root[2]])
    kind = _parse_suffix(suffix)
    if kind is None:
        return ChordSymbol(root=None, kind=OTHER, text=text)
    return ChordSymbol(root=spelled, kind=kind[0], degrees=kind[1], bass=bass)


def _without_bass(suffix: str) -> tuple[str, Spelling | None]:
    before, slash, after = suffix.rpartition("/")
    bass = _BASS.fullmatch(after) if slash else None
    return (before, Spelling(bass[1].upper(), _ALTERS[bass[2]])) if bass else (suffix, None)


def _parse_suffix(suffix: str) -> tuple[str, tuple[Degree, ...]] | None:
    """The kind and degrees of a text after the root: the longest kind whose rest reads as degrees."""
    for text in _KIND_TEXTS:
        if suffix.startswith(text):
            kind = _KIND_OF[text]
            degrees = _parse_degrees(suffix[len(text) :].replace("(", "").replace(")", "").replace(",", ""))
            if degrees is None:
                continue
            kind, degrees = _suspended(kind, degrees)
            return kind, tuple(degree for degree in degrees if isinstance(degree, Degree))
    return None


def _parse_degrees(text: str) -> list[Degree | str] | None:
    degrees: list[Degree | str] = []
    at = 0
    while at < len(text):
        if suspension := _SUS.match(text, at):
            degrees.append(f"sus{suspension['which'] or 4}")
            at = suspension.end()
        elif found := _DEGREE.match(text, at):
            degrees.append(_degree(found))
            at = found.end()
        else:
            return None
    return degrees


def _degree(found: re.Match[str]) -> Degree:
    value = int(found["value"])
    if found["type"] in ("no", "omit"):
        return Degree(value, 0, "subtract")
    alter = sum(_ALTERS[sign] for sign in found["alter"])
    return Degree(value, alter, "alter" if value == 5 and alter else "add")


def _suspended(kind: str, degrees: list[Degree | str]) -> tuple[str, list[Degree | str]]:
    """A suspension written behind a seventh, ninth or thirteenth is the kind, and the number its degrees."""
    suspensions = [degree for degree in degrees if isinstance(degree, str)]
    numbers = {"dominant": (7,), "dominant-ninth": (7, 9), "dominant-13th": (7, 9, 13), "major": ()}
    if not suspensions or kind not in numbers:
        return kind, degrees
    added = [Degree(value, 0, "add") for value in numbers[kind]]
    return ("suspended-second" if suspensions[0] == "sus2" else "suspended-fourth"), [*added, *degrees]


def _degree_text(degree: Degree) -> str:
    value, alter, type_ = degree
    if type_ == "subtract":
        return f"no{value}"
    sign = "#" * alter if alter > 0 else "b" * -alter
    return f"{sign}{value}" if sign else f"add{value}"
