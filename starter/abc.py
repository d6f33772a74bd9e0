"""MusicXML (.mxl) to ABC notation: the melody of a score, with its chord symbols.

Not a general converter: it reads the first part and, in it, the first voice; of simultaneous notes it keeps the
highest. Grace notes, lyrics, dynamics, slurs and chords of unknown kind are left out. What is written is exact:
lengths are fractions of the unit note (a triplet eighth is `c2/3`), accidentals hold to the bar line as ABC has it, and
a note under a chord change is split by a tie, so that every chord stands before the very note it sounds on.
ABC standard 2.1: https://abcnotation.com/wiki/abc:standard:v2.1
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

UNIT = Fraction(1, 2)  # L:1/8 in quarter notes, MusicXML's unit of time
BARS_PER_LINE = 4
MAJOR_TONICS = ["Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"]
MINOR_TONICS = ["Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#"]
SHARPS = "FCGDAEB"
ACCIDENTALS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
CHORD_KINDS = {
    "major": "", "minor": "m", "augmented": "+", "diminished": "dim", "dominant": "7", "major-seventh": "maj7",
    "minor-seventh": "m7", "diminished-seventh": "dim7", "augmented-seventh": "+7", "half-diminished": "m7b5",
    "major-minor": "mmaj7", "major-sixth": "6", "minor-sixth": "m6", "dominant-ninth": "9", "major-ninth": "maj9",
    "minor-ninth": "m9", "dominant-11th": "11", "dominant-13th": "13", "suspended-second": "sus2",
    "suspended-fourth": "sus4", "power": "5",
}  # fmt: skip


class UnwritableKeyError(ValueError):
    """The key, or an accidental in it, lies beyond what ABC can write."""


@dataclass(frozen=True, kw_only=True)
class Pitch:
    step: str
    alter: int
    octave: int

    @property
    def height(self) -> int:
        """Semitones above C0, to tell the higher of two notes."""
        return {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[self.step] + self.alter + 12 * self.octave


@dataclass(frozen=True, kw_only=True)
class Note:
    start: Fraction
    length: Fraction
    pitch: Pitch | None
    """None is a rest."""
    tied: bool = False


@dataclass(frozen=True, kw_only=True)
class Chord:
    root: tuple[str, int]
    """Step and alteration: ("B", -1) is B flat."""
    kind: str
    bass: tuple[str, int] | None

    @property
    def symbol(self) -> str:
        return _spelled(self.root) + self.kind + (f"/{_spelled(self.bass)}" if self.bass else "")


@dataclass(kw_only=True)
class Measure:
    """One bar: what changes at its start, what sounds in it, how it is closed. Times count from its start."""

    fifths: int | None = None
    minor: bool = False
    meter: str | None = None
    chords: list[tuple[Fraction, Chord]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    opens_repeat: bool = False
    closes_repeat: bool = False
    ending: str | None = None


def read_mxl(path: Path) -> ElementTree.Element:
    """The root element of the score inside a compressed MusicXML file.

    The first .xml outside META-INF is taken: in part of OpenEWLD the container that should name it is not well-formed.
    """
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".xml") and not name.startswith("META-INF"))
        return ElementTree.fromstring(archive.read(name))


def to_abc(
    score: ElementTree.Element, *, number: int = 1, title: str, with_chords: bool = True, fifths_up: int = 0
) -> str:
    """The tune as ABC text: header lines, then four bars a line, ended by `|]`.

    `fifths_up=1` writes it a fifth (or, whichever is nearer, a fourth down) from the original: C major becomes G major.
    """
    part = score.find("part")
    if part is None:
        raise ValueError(f"{title}: the score has no <part>. Only score-partwise MusicXML is read.")
    measures = [transposed(measure, fifths_up) for measure in read_measures(part)]
    first = measures[0]
    fifths = first.fifths or 0
    header = [f"X:{number}", f"T:{title}", f"M:{first.meter or 'none'}", "L:1/8", f"K:{key_name(fifths, first.minor)}"]
    bars = list(_bars(measures, fifths, with_chords=with_chords))
    lines = ["".join(bars[start : start + BARS_PER_LINE]) for start in range(0, len(bars), BARS_PER_LINE)]
    return "\n".join(header + [line.strip() for line in lines]) + "\n"


def key_name(fifths: int, minor: bool) -> str:
    """`key_name(-1, True) == "Dm"`."""
    if abs(fifths) > 7:
        raise UnwritableKeyError(f"a key signature of {abs(fifths)} accidentals does not exist")
    return MINOR_TONICS[fifths + 7] + "m" if minor else MAJOR_TONICS[fifths + 7]


def read_measures(part: ElementTree.Element) -> Iterator[Measure]:
    """The bars of one part, its first voice only."""
    divisions, voice = Fraction(1), part.findtext(".//note/voice")
    for element in part.findall("measure"):
        measure, now = Measure(), Fraction(0)
        for child in element:
            if child.tag == "attributes":
                divisions = Fraction(child.findtext("divisions") or divisions)
                _read_attributes(child, measure)
            elif child.tag == "harmony":
                offset = Fraction(child.findtext("offset") or 0) / divisions
                _read_chord(child, measure, max(Fraction(0), now + offset))
            elif child.tag == "barline":
                _read_barline(child, measure)
            elif child.tag in ("backup", "forward"):
                step = Fraction(child.findtext("duration") or 0) / divisions
                now += step if child.tag == "forward" else -step
            elif child.tag == "note" and child.find("grace") is None:
                length = Fraction(child.findtext("duration") or 0) / divisions
                in_chord = child.find("chord") is not None
                if child.findtext("voice") == voice and length:
                    _read_note(child, measure, now, length, in_chord)
                now += 0 if in_chord else length
        yield measure


def transposed(measure: Measure, fifths_up: int) -> Measure:
    """The bar `fifths_up` steps along the line of fifths, every note and chord respelled accordingly."""
    notes = [replace(note, pitch=_transposed_pitch(note.pitch, fifths_up)) for note in measure.notes]
    chords = [
        (at, replace(chord, root=_up(chord.root, fifths_up), bass=chord.bass and _up(chord.bass, fifths_up)))
        for at, chord in measure.chords
    ]
    fifths = None if measure.fifths is None else measure.fifths + fifths_up
    return replace(measure, fifths=fifths, notes=notes, chords=chords)


def _up(place: tuple[str, int], fifths_up: int) -> tuple[str, int]:
    sharpness = SHARPS.index(place[0]) + 7 * place[1] + fifths_up
    return SHARPS[sharpness % 7], sharpness // 7


def _transposed_pitch(pitch: Pitch | None, fifths_up: int) -> Pitch | None:
    if pitch is None:
        return None
    step, alter = _up((pitch.step, pitch.alter), fifths_up)
    semitones = (7 * fifths_up + 5) % 12 - 5  # -5 to 6: a tune stays near its register
    in_octave_0 = Pitch(step=step, alter=alter, octave=0)
    return replace(in_octave_0, octave=(pitch.height + semitones - in_octave_0.height) // 12)


def _read_attributes(attributes: ElementTree.Element, measure: Measure) -> None:
    fifths = attributes.findtext("key/fifths")
    if fifths is not None:
        measure.fifths = int(fifths)
        measure.minor = attributes.findtext("key/mode") == "minor"
    beats, beat_type = attributes.findtext("time/beats"), attributes.findtext("time/beat-type")
    if beats and beat_type:
        measure.meter = f"{beats}/{beat_type}"


def _read_chord(harmony: ElementTree.Element, measure: Measure, at: Fraction) -> None:
    kind = harmony.findtext("kind") or "major"
    root = _read_step(harmony, "root")
    if kind not in CHORD_KINDS or root is None:
        return
    degrees = "".join(
        f"{'b' * -alter}{'#' * alter}{degree.findtext('degree-value')}"
        for degree in harmony.findall("degree")
        if degree.findtext("degree-type") != "subtract"
        for alter in [int(degree.findtext("degree-alter") or 0)]
    )
    chord = Chord(root=root, kind=CHORD_KINDS[kind] + degrees, bass=_read_step(harmony, "bass"))
    measure.chords.append((at, chord))


def _read_step(harmony: ElementTree.Element, what: str) -> tuple[str, int] | None:
    step = harmony.findtext(f"{what}/{what}-step")
    return None if step is None else (step, int(float(harmony.findtext(f"{what}/{what}-alter") or 0)))


def _spelled(place: tuple[str, int]) -> str:
    step, alter = place
    return step + "b" * -alter + "#" * alter


def _read_barline(barline: ElementTree.Element, measure: Measure) -> None:
    repeat, ending = barline.find("repeat"), barline.find("ending")
    if repeat is not None:
        measure.opens_repeat |= repeat.attrib["direction"] == "forward"
        measure.closes_repeat |= repeat.attrib["direction"] == "backward"
    if ending is not None and ending.attrib["type"] == "start":
        measure.ending = ending.attrib["number"].replace(" ", "")


def _read_note(element: ElementTree.Element, measure: Measure, now: Fraction, length: Fraction, in_chord: bool) -> None:
    note = Note(start=now, length=length, pitch=_pitch(element), tied=element.find("tie[@type='start']") is not None)
    if not in_chord:
        measure.notes.append(note)
    elif measure.notes and _height(note) > _height(measure.notes[-1]):
        measure.notes[-1] = replace(measure.notes[-1], pitch=note.pitch, tied=note.tied)


def _pitch(element: ElementTree.Element) -> Pitch | None:
    step = element.findtext("pitch/step")
    if step is None:
        return None
    alter = int(float(element.findtext("pitch/alter") or 0))
    return Pitch(step=step, alter=alter, octave=int(element.findtext("pitch/octave") or 4))


def _height(note: Note) -> int:
    return -1 if note.pitch is None else note.pitch.height


def _bars(measures: list[Measure], fifths: int, *, with_chords: bool) -> Iterator[str]:
    for index, measure in enumerate(measures):
        fields = ""
        if index and measure.meter:
            fields += f"[M:{measure.meter}]"
        if index and measure.fifths is not None and measure.fifths != fifths:
            fifths = measure.fifths
            fields += f"[K:{key_name(fifths, measure.minor)}]"
        opening = ("|:" if measure.opens_repeat else "") + (f"[{measure.ending} " if measure.ending else "")
        following = measures[index + 1] if index + 1 < len(measures) else None
        if measure.closes_repeat:
            closing = ":|"
        elif following is None:
            closing = "|]"
        else:
            closing = "" if following.opens_repeat else "|"
        yield opening + fields + _body(measure, fifths, with_chords) + closing


def _body(measure: Measure, fifths: int, with_chords: bool) -> str:
    altered: dict[tuple[str, int], int] = {}
    written = []
    for note, chord in _split_at_chords(measure, with_chords):
        symbol = f'"{chord}"' if chord else ""
        written.append(symbol + _name(note.pitch, fifths, altered) + _length(note.length) + ("-" if note.tied else ""))
    return "".join(written)


def _split_at_chords(measure: Measure, with_chords: bool) -> Iterator[tuple[Note, str]]:
    chords = dict(measure.chords) if with_chords else {}
    for note in measure.notes:
        end = note.start + note.length
        cuts = [note.start, *sorted(at for at in chords if note.start < at < end), end]
        for start, stop in pairwise(cuts):
            tied = note.pitch is not None and (note.tied or stop < end)
            piece = Note(start=start, length=stop - start, pitch=note.pitch, tied=tied)
            yield piece, chords[start].symbol if start in chords else ""


def _name(pitch: Pitch | None, fifths: int, altered: dict[tuple[str, int], int]) -> str:
    if pitch is None:
        return "z"
    place = (pitch.step, pitch.octave)
    accidental = ""
    if pitch.alter != altered.get(place, _alter_in_key(pitch.step, fifths)):
        if pitch.alter not in ACCIDENTALS:
            raise UnwritableKeyError(f"{pitch.step} altered by {pitch.alter} semitones has no sign in ABC")
        altered[place] = pitch.alter
        accidental = ACCIDENTALS[pitch.alter]
    if pitch.octave >= 5:
        return accidental + pitch.step.lower() + "'" * (pitch.octave - 5)
    return accidental + pitch.step + "," * (4 - pitch.octave)


def _alter_in_key(step: str, fifths: int) -> int:
    place = SHARPS.index(step)
    if fifths > 0:
        return 1 if place < fifths else 0
    return -1 if 6 - place < -fifths else 0


def _length(quarters: Fraction) -> str:
    units = quarters / UNIT
    if units == 1:
        return ""
    if units.denominator == 1:
        return str(units.numerator)
    return f"{units.numerator if units.numerator != 1 else ''}/{units.denominator}"
