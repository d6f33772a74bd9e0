"""The bars of one part of a MusicXML document: a clock of divisions becomes notes with exact lengths."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from xml.etree.ElementTree import Element

from outcrop.errors import Invalid
from outcrop.music.chord_symbols import ChordSymbol, Degree, parse_chord
from outcrop.music.keys import MODES, MOST_FIFTHS, Key, Spelling
from outcrop.music.musicxml_notes import Sounding, read_note
from outcrop.music.score import DOUBLE, FINAL, PLAIN, Bar, Metre, Note, Part, PlacedChord
from outcrop.music.ties import resolved

_LINES = {"light-light": DOUBLE, "light-heavy": FINAL, "heavy-heavy": FINAL, "heavy": DOUBLE}
_KIND_ALIASES = {"minor-major": "major-minor", "suspended-forth": "suspended-fourth"}
"Kinds that programs write beside MusicXML's own list."


class PartReader:
    """The state of one part between its bars: key, metre, divisions, open ending, melody's voice."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bars: list[Bar] = []
        self._divisions = Fraction(1)
        self._key = Key(0, "major")
        self._metre: Metre | None = None
        self._voice: str | None = None
        self._ending: tuple[int, ...] = ()
        self._left_out: Counter[str] = Counter()

    def part(self, name: str) -> Part:
        bars, lost = resolved(self._bars)
        return Part(name=name, bars=bars, left_out=dict(sorted((self._left_out + lost).items())))

    def read(self, measure: Element) -> None:
        """One more bar."""
        bar = _BarReader(f"{self._name}, bar {measure.get('number', '?')}", self._divisions, self._voice)
        signs = _Signs()
        for element in measure:
            match element.tag:
                case "attributes":
                    self._attributes(element, bar)
                case "note":
                    bar.note(element)
                case "backup" | "forward":
                    bar.move(element)
                case "harmony":
                    bar.chord(element)
                case "barline":
                    signs.read(element)
                case "direction":
                    self._direction(element)
        self._voice = self._voice or bar.voice
        self._left_out.update(bar.left_out)
        self._bars.append(self._bar(measure, bar, signs))

    def _bar(self, measure: Element, bar: "_BarReader", signs: "_Signs") -> Bar:
        if signs.ending_start:
            self._ending = signs.ending_start
        ending = self._ending
        if signs.ending_stops:
            self._ending = ()
        return Bar(
            number=measure.get("number", str(len(self._bars) + 1)),
            notes=bar.melody(),
            chords=tuple(sorted(bar.chords, key=lambda chord: chord.at)),
            key=self._key,
            metre=self._metre,
            repeat_start=signs.forward,
            repeat_end=signs.backward,
            ending=ending,
            ending_starts=bool(signs.ending_start),
            line=signs.line,
        )

    def _attributes(self, element: Element, bar: "_BarReader") -> None:
        if divisions := element.findtext("divisions"):
            self._divisions = bar.divisions = Fraction(divisions.strip())
            if self._divisions <= 0:
                raise Invalid(f"{bar.name}: divisions of {divisions.strip()}. Export the score again.")
        if (key := element.find("key")) is not None:
            self._key = self._read_key(key)
        if (time := element.find("time")) is not None:
            self._metre = _read_metre(time, bar.name)
        if element.find("transpose") is not None:
            self._left_out["transposing instrument"] += 1

    def _read_key(self, element: Element) -> Key:
        fifths = element.findtext("fifths")
        if fifths is None or abs(int(fifths)) > MOST_FIFTHS:
            self._left_out["key signature of its own kind"] += 1
            return Key(0, "major")  # Its accidentals then stand before the notes.
        mode = (element.findtext("mode") or "major").strip().lower()
        return Key(int(fifths), mode if mode in MODES else "major")

    def _direction(self, direction: Element) -> None:
        for kind in direction.iterfind("direction-type"):
            self._left_out.update(child.tag for child in kind)


def _read_metre(element: Element, name: str) -> Metre | None:
    beats, unit = element.findtext("beats"), element.findtext("beat-type")
    if not beats or not unit:
        return None  # senza-misura: no metre at all.
    try:
        metre = Metre(sum(int(part) for part in beats.split("+")), int(unit))
    except ValueError as wrong:
        raise Invalid(f"{name}: a metre of {beats}/{unit}. Write both as numbers.") from wrong
    if metre.beats < 1 or metre.unit < 1:
        raise Invalid(f"{name}: a metre of {beats}/{unit}. Write both as positive numbers.")
    return metre


class _Signs:
    """What the bar lines of one bar say."""

    def __init__(self) -> None:
        self.forward = False
        self.backward = 0
        self.ending_start: tuple[int, ...] = ()
        self.ending_stops = False
        self.line = PLAIN

    def read(self, barline: Element) -> None:
        if (repeat := barline.find("repeat")) is not None:
            if repeat.get("direction") == "forward":
                self.forward = True
            else:
                self.backward = int(repeat.get("times") or 2)
        if (ending := barline.find("ending")) is not None:
            if ending.get("type") == "start":
                self.ending_start = _numbers(ending.get("number", ""))
            else:
                self.ending_stops = True
        if barline.get("location", "right") == "right":
            self.line = _LINES.get(barline.findtext("bar-style") or "", PLAIN)


def _numbers(text: str) -> tuple[int, ...]:
    found = tuple(int(part) for part in text.replace(",", " ").split() if part.isdigit())
    return found or (1,)


class _BarReader:
    """The notes of one bar, on a clock."""

    def __init__(self, name: str, divisions: Fraction, voice: str | None) -> None:
        self.name = name
        self.divisions = divisions
        self.voice = voice
        self.chords: list[PlacedChord] = []
        self.left_out: Counter[str] = Counter()
        self._at = Fraction(0)
        self._end = Fraction(0)
        self._notes: list[Note] = []
        self._graces: list[Note] = []

    def _length(self, element: Element) -> Fraction:
        duration = element.findtext("duration")
        if duration is None:
            return Fraction(0)
        try:
            return Fraction(duration.strip()) / self.divisions / 4
        except (ValueError, ZeroDivisionError) as wrong:
            raise Invalid(f"{self.name}: a duration of '{duration.strip()}'. Export the score again.") from wrong

    def move(self, element: Element) -> None:
        step = self._length(element)
        self._at += step if element.tag == "forward" else -step

    def note(self, element: Element) -> None:
        sounding = read_note(element, self._length(element), name=self.name)
        self.left_out.update(sounding.left_out)
        struck_with = element.find("chord") is not None
        if not self._is_melody(element):
            self.left_out["notes of further voices"] += 1
        elif struck_with:
            self._struck_with_last(sounding)
        elif sounding.is_grace:
            self._graces.append(sounding.note)
        else:
            self._append(sounding.note)
        if not struck_with and not sounding.is_grace:
            self._at += sounding.duration

    def _is_melody(self, element: Element) -> bool:
        """Whether a note is of the voice that the part began with, on the first staff; cue notes are of none."""
        if element.find("cue") is not None or (element.findtext("staff") or "1").strip() != "1":
            return False
        voice = (element.findtext("voice") or "1").strip()
        if self.voice is None:
            self.voice = voice
        return voice == self.voice

    def _append(self, note: Note) -> None:
        if self._at > self._end:  # The voice was silent without a rest: `forward`.
            self._notes.append(Note(length=self._at - self._end, hidden=True))
        self._notes.append(replace(note, graces=tuple(self._graces)))
        self._graces.clear()
        self._end = self._at + note.length

    def _struck_with_last(self, sounding: Sounding) -> None:
        notes = self._graces if sounding.is_grace else self._notes
        if not notes:
            raise Invalid(f"{self.name}: a note is struck with one before it, and none is there. Export it again.")
        last, added = notes[-1], sounding.note
        notes[-1] = replace(last, pitches=last.pitches + added.pitches, tied=last.tied + added.tied)

    def melody(self) -> tuple[Note, ...]:
        if self._graces:
            self.left_out["grace notes after the last note"] += len(self._graces)
        return tuple(self._notes)

    def chord(self, harmony: Element) -> None:
        """The chord symbols of a <harmony>, placed by the clock and its offset."""
        offset = Fraction((harmony.findtext("offset") or "0").strip()) / self.divisions / 4
        at = max(self._at + offset, Fraction(0))
        frame = [child for child in harmony if child.tag == "frame"]
        self.left_out.update(["fret diagrams"] * len(frame))
        symbol = _chord(harmony)
        if symbol is None:
            self.left_out["chord functions"] += 1
        else:
            self.chords.append(PlacedChord(at, symbol))


def _chord(harmony: Element) -> ChordSymbol | None:
    kind_element = harmony.find("kind")
    kind = (kind_element.text or "").strip() if kind_element is not None else ""
    text = (kind_element.get("text") or "") if kind_element is not None else ""
    root = _spelling(harmony, "root")
    if kind == "none":
        return parse_chord("N.C.")
    if root is None:
        return None
    kind = _KIND_ALIASES.get(kind, kind)
    degrees = tuple(_degree(element) for element in harmony.iterfind("degree"))
    symbol = ChordSymbol(root=root, kind=kind, degrees=degrees, bass=_spelling(harmony, "bass"))
    if symbol.tones is None:  # A kind outside the list is what its text says.
        return parse_chord(f"{root}{text}" + (f"/{symbol.bass}" if symbol.bass else ""))
    # A minor seventh with its fifth lowered is half-diminished: one value for what is written alike.
    written = parse_chord(str(symbol))
    return written if written.tones == symbol.tones else symbol


def _spelling(harmony: Element, name: str) -> Spelling | None:
    step = harmony.findtext(f"{name}/{name}-step")
    if not step:
        return None
    return Spelling(step.strip().upper(), round(float(harmony.findtext(f"{name}/{name}-alter") or 0)))


def _degree(element: Element) -> Degree:
    value = int(element.findtext("degree-value") or 1)
    alter = round(float(element.findtext("degree-alter") or 0))
    kind = (element.findtext("degree-type") or "add").strip()
    return Degree(value, alter, "alter" if kind == "add" and value == 5 and alter else kind)
