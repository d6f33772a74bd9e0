"""A melody written as MusicXML 4.0, for programs that engrave or edit it."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm
from statistics import median
from xml.etree.ElementTree import Element, SubElement, tostring

from outcrop.music.abc_notes import Accidentals, tuplet_groups
from outcrop.music.chord_symbols import NO_CHORD, ChordSymbol
from outcrop.music.keys import C_MAJOR, Pitch
from outcrop.music.musicxml_notes import TYPES
from outcrop.music.score import DOUBLE, FINAL, PLAIN, Bar, Metre, Note, Part

_LINES = {DOUBLE: "light-light", FINAL: "light-heavy"}
_ACCIDENTALS = {"__": "flat-flat", "_": "flat", "=": "natural", "^": "sharp", "^^": "double-sharp"}
_LOW = 55
_LENGTHS = sorted(
    {(value * (2 - Fraction(1, 2**dots)), name, dots) for name, value in TYPES.items() for dots in (0, 1, 2)},
    key=lambda each: (-each[0], each[2]),
)


def musicxml_text(part: Part, *, title: str = "", degrees: bool = True) -> str:
    """The part as a MusicXML document.

    Without `degrees`, added and altered tones of chords stand in the text of the chord only: verovio prints them twice
    otherwise.
    """
    score = Element("score-partwise", version="4.0")
    if title:
        _put(SubElement(score, "work"), "work-title", title)
    _put(SubElement(SubElement(score, "part-list"), "score-part", id="P1"), "part-name", part.name)
    music = SubElement(score, "part", id="P1")
    writing = _PartWriter(part.bars, degrees=degrees)
    for index in range(len(part.bars)):
        writing.bar(SubElement(music, "measure", number=str(index + 1)), index)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(score, encoding="unicode") + "\n"


class _PartWriter:
    """The state between two bars: what key and metre were told, which notes are held."""

    def __init__(self, bars: Sequence[Bar], *, degrees: bool) -> None:
        self._bars = bars
        self._degrees = degrees
        self._accidentals = Accidentals(C_MAJOR)
        lengths = [note.length for bar in bars for note in bar.notes]
        places = [chord.at for bar in bars for chord in bar.chords]
        self._divisions = lcm(*(length.denominator for length in [*lengths, *places, Fraction(1, 64)])) // 4
        self._held: frozenset[Pitch] = frozenset()

    def bar(self, measure: Element, index: int) -> None:
        bar = self._bars[index]
        before = self._bars[index - 1] if index else None
        after = self._bars[index + 1] if index + 1 < len(self._bars) else None
        self._attributes(measure, bar, before)
        self._left(measure, bar)
        self._notes(measure, bar)
        self._right(measure, bar, after)

    def _attributes(self, measure: Element, bar: Bar, before: Bar | None) -> None:
        attributes = Element("attributes")
        if before is None:
            _put(attributes, "divisions", str(self._divisions))
        if before is None or bar.key != before.key:
            key = SubElement(attributes, "key")
            _put(key, "fifths", str(bar.key.fifths))
            _put(key, "mode", bar.key.mode)
        if bar.metre and (before is None or bar.metre != before.metre):
            time = SubElement(attributes, "time")
            _put(time, "beats", str(bar.metre.beats))
            _put(time, "beat-type", str(bar.metre.unit))
        if before is None:
            clef = SubElement(attributes, "clef")
            sign, line = _clef(self._bars)
            _put(clef, "sign", sign)
            _put(clef, "line", line)
        if len(attributes):
            measure.append(attributes)

    def _left(self, measure: Element, bar: Bar) -> None:
        if not bar.repeat_start and not bar.ending_starts:
            return
        barline = SubElement(measure, "barline", location="left")
        if bar.repeat_start:
            _put(barline, "bar-style", "heavy-light")
        if bar.ending_starts:
            SubElement(barline, "ending", number=",".join(map(str, bar.ending)), type="start")
        if bar.repeat_start:
            SubElement(barline, "repeat", direction="forward")

    def _right(self, measure: Element, bar: Bar, after: Bar | None) -> None:
        ending_stops = bool(bar.ending) and (after is None or after.ending != bar.ending or after.ending_starts)
        if bar.line == PLAIN and not bar.repeat_end and not ending_stops:
            return
        barline = SubElement(measure, "barline", location="right")
        style = "light-heavy" if bar.repeat_end else _LINES.get(bar.line)
        if style:
            _put(barline, "bar-style", style)
        if ending_stops:
            SubElement(barline, "ending", number=",".join(map(str, bar.ending)), type="stop")
        if bar.repeat_end:
            SubElement(barline, "repeat", direction="backward", times=str(bar.repeat_end))

    def _notes(self, measure: Element, bar: Bar) -> None:
        groups = list(tuplet_groups(bar.notes))
        opening, closing = {group[0] for group in groups}, {group[-1] for group in groups}
        beams = beamed(bar)
        self._accidentals = Accidentals(bar.key)
        chords = list(bar.chords)
        at = Fraction(0)
        for index, note in enumerate(bar.notes):
            end = at + note.length
            while chords and (chords[0].at < end or index + 1 == len(bar.notes)):
                place, symbol = chords.pop(0)
                self._harmony(measure, symbol, offset=round((place - at) * 4 * self._divisions))
            for grace in note.graces:
                self._struck(measure, grace, grace=True)
            marks = [name for name, where in (("start", opening), ("stop", closing)) if index in where]
            self._struck(measure, note, tuplet_marks=marks, beam=beams.get(index))
            at = end
        for _, symbol in chords:
            self._harmony(measure, symbol, offset=0)

    def _struck(
        self,
        measure: Element,
        note: Note,
        *,
        grace: bool = False,
        tuplet_marks: Sequence[str] = (),
        beam: str | None = None,
    ) -> None:
        """The elements of one note: several where it has several pitches, or a length that needs ties."""
        written = list(_parts(note.written))
        ratio = Fraction(note.tuplet.normal, note.tuplet.actual) if note.tuplet else Fraction(1)
        for number, (length, kind, dots) in enumerate(written):
            goes_on = number + 1 < len(written)
            for voice, pitch in enumerate(note.pitches or (None,)):
                element = SubElement(measure, "note", {"print-object": "no"} if note.hidden else {})
                if grace:
                    SubElement(element, "grace")
                if voice:
                    SubElement(element, "chord")
                _pitch(element, pitch)
                if not grace:
                    _put(element, "duration", str(round(length * ratio * 4 * self._divisions)))
                ties = self._ties(pitch, note, first=number == 0, goes_on=goes_on) if not grace else []
                for tie in ties:
                    SubElement(element, "tie", type=tie)
                _put(element, "voice", "1")
                _put(element, "type", kind)
                for _ in range(dots):
                    SubElement(element, "dot")
                self._accidental(element, pitch, held=number > 0 or pitch in self._held)
                if note.tuplet:
                    modification = SubElement(element, "time-modification")
                    _put(modification, "actual-notes", str(note.tuplet.actual))
                    _put(modification, "normal-notes", str(note.tuplet.normal))
                if beam and not voice:
                    _put(element, "beam", beam, number="1")
                _notations(element, ties, tuplet_marks if not voice else ())
        if not grace:
            self._held = frozenset(note.tied)

    def _accidental(self, element: Element, pitch: Pitch | None, *, held: bool) -> None:
        sign = self._accidentals.before(pitch, tied_into=held) if pitch else ""
        if sign and not held:
            _put(element, "accidental", _ACCIDENTALS[sign])

    def _harmony(self, measure: Element, symbol: ChordSymbol, *, offset: int) -> None:
        harmony = _harmony(measure, symbol)
        if self._degrees:
            _add_degrees(harmony, symbol)
        if offset:
            _put(harmony, "offset", str(offset))

    def _ties(self, pitch: Pitch | None, note: Note, *, first: bool, goes_on: bool) -> list[str]:
        if pitch is None:
            return []
        stops = pitch in self._held if first else True
        starts = goes_on or pitch in note.tied
        return ["stop"] * stops + ["start"] * starts


def beamed(bar: Bar) -> dict[int, str]:
    """Marks of the notes that begin, continue or end a beam: those shorter than a quarter, within a beat."""
    beat = bar.metre.beat if bar.metre else Fraction(1, 4)
    if bar.metre in (Metre(4, 4), Metre(2, 2)) and all(note.written >= Fraction(1, 8) for note in bar.notes):
        beat = Fraction(1, 2)  # Eighths alone are read in fours.
    groups: dict[int, list[int]] = {}
    at = Fraction(0)
    for index, note in enumerate(bar.notes):
        if note.pitches and note.written < Fraction(1, 4):
            groups.setdefault(int(at // beat), []).append(index)
        at += note.length
    beams: dict[int, str] = {}
    for group in groups.values():
        for run in _runs(group):
            if len(run) > 1:
                beams |= {run[0]: "begin", run[-1]: "end"} | dict.fromkeys(run[1:-1], "continue")
    return beams


def _runs(indices: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for index in indices:
        if run and index != run[-1] + 1:
            yield run
            run = []
        run.append(index)
    if run:
        yield run


def _notations(element: Element, ties: Sequence[str], tuplet_marks: Sequence[str]) -> None:
    if not ties and not tuplet_marks:
        return
    notations = SubElement(element, "notations")
    for tie in ties:
        SubElement(notations, "tied", type=tie)
    for mark in tuplet_marks:
        SubElement(notations, "tuplet", type=mark)


def _clef(bars: Sequence[Bar]) -> tuple[str, str]:
    """Sign and line: the bass clef where most notes lie below the treble clef's staff, else the treble clef."""
    keys = [pitch.midi for bar in bars for note in bar.notes for pitch in note.pitches]
    return ("F", "4") if keys and median(keys) < _LOW else ("G", "2")


def _harmony(measure: Element, symbol: ChordSymbol) -> Element:
    harmony = SubElement(measure, "harmony")
    if symbol.root is None:
        root = SubElement(harmony, "root")
        _put(root, "root-step", "C", text="")
        _put(harmony, "kind", NO_CHORD, text=str(symbol))
        return harmony
    root = SubElement(harmony, "root")
    _put(root, "root-step", symbol.root.step)
    if symbol.root.alter:
        _put(root, "root-alter", str(symbol.root.alter))
    suffix = str(symbol).removeprefix(str(symbol.root))
    bass_text = f"/{symbol.bass}" if symbol.bass else ""
    _put(harmony, "kind", symbol.kind, text=suffix.removesuffix(bass_text))
    if symbol.bass:
        bass = SubElement(harmony, "bass")
        _put(bass, "bass-step", symbol.bass.step)
        if symbol.bass.alter:
            _put(bass, "bass-alter", str(symbol.bass.alter))
    return harmony


def _add_degrees(harmony: Element, symbol: ChordSymbol) -> None:
    for value, alter, kind in symbol.degrees:
        degree = SubElement(harmony, "degree", {"print-object": "no"})  # The kind's text shows it.
        _put(degree, "degree-value", str(value))
        _put(degree, "degree-alter", str(alter))
        _put(degree, "degree-type", kind)


def _pitch(element: Element, pitch: Pitch | None) -> None:
    if pitch is None:
        SubElement(element, "rest")
        return
    place = SubElement(element, "pitch")
    _put(place, "step", pitch.step)
    if pitch.alter:
        _put(place, "alter", str(pitch.alter))
    _put(place, "octave", str(pitch.octave))


def _parts(length: Fraction) -> Iterator[tuple[Fraction, str, int]]:
    """The notes that a length is written with: one for most, several, the longest first, for five eighths."""
    while length > 0:
        fitting = next((each for each in _LENGTHS if each[0] <= length), None)
        if fitting is None:  # Shorter than any note that is written: an answer of a model may ask for it.
            yield length, _LENGTHS[-1][1], 0
            return
        yield fitting
        length -= fitting[0]


def _put(parent: Element, tag: str, content: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = content
    return element
