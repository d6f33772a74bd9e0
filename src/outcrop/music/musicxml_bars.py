"""The bars of one part of a MusicXML document: a clock of divisions becomes notes with exact lengths."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from xml.etree.ElementTree import Element

from outcrop.errors import Invalid
from outcrop.music.abc_notes import MOST_DIGITS
from outcrop.music.chord_symbols import ChordSymbol, Degree, parse_chord
from outcrop.music.keys import MODES, MOST_FIFTHS, SEMITONES, Key, Spelling
from outcrop.music.musicxml_notes import MOST_ALTER, left_out, number, read_note, whole_number
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
        """Add one more bar. Raises Invalid where it holds what no score can hold."""
        name = f"{self._name}, bar {measure.get('number', '?')}"
        try:
            self._read(measure, name)
        except ValueError as wrong:  # of a number: everything else is told apart where it stands
            raise Invalid(f"{name}: {wrong}. Export the score again.") from wrong

    def _read(self, measure: Element, name: str) -> None:
        bar = _BarReader(name, self._divisions, self._voice)
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
            self._divisions = bar.divisions = number(divisions)
            if self._divisions <= 0:
                raise ValueError(f"divisions of {divisions.strip()}")
        if (key := element.find("key")) is not None:
            self._key = self._read_key(key)
        if (time := element.find("time")) is not None:
            self._metre = _read_metre(time)
        if element.find("transpose") is not None:
            self._left_out["transposing instrument"] += 1

    def _read_key(self, element: Element) -> Key:
        fifths = element.findtext("fifths")
        if fifths is None or abs(whole_number(fifths)) > MOST_FIFTHS:
            self._left_out["key signature of its own kind"] += 1
            return Key(0, "major")  # Its accidentals then stand before the notes.
        mode = (element.findtext("mode") or "major").strip().lower()
        return Key(whole_number(fifths), mode if mode in MODES else "major")

    def _direction(self, direction: Element) -> None:
        for kind in direction.iterfind("direction-type"):
            self._left_out.update(child.tag for child in kind)


def _read_metre(element: Element) -> Metre | None:
    beats, unit = element.findtext("beats"), element.findtext("beat-type")
    if not beats or not unit:
        return None  # senza-misura: no metre at all.
    metre = Metre(sum(whole_number(part) for part in beats.split("+")), whole_number(unit))
    if metre.beats < 1 or metre.unit < 1:
        raise ValueError(f"a metre of {beats}/{unit}")
    return metre


class _Signs:
    """The signs at the bar lines of one bar."""

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
                self.backward = whole_number(repeat.get("times") or "2")
        if (ending := barline.find("ending")) is not None:
            if ending.get("type") == "start":
                self.ending_start = _numbers(ending.get("number", ""))
            else:
                self.ending_stops = True
        if barline.get("location", "right") == "right":
            self.line = _LINES.get(barline.findtext("bar-style") or "", PLAIN)


def _numbers(text: str) -> tuple[int, ...]:
    found = tuple(whole_number(part) for part in text.replace(",", " ").split() if part.isdecimal())
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
        self._is_over_another = False

    def _length(self, element: Element) -> Fraction:
        duration = element.findtext("duration")
        if duration is None:
            return Fraction(0)
        return _whole_notes(duration, self.divisions)

    def move(self, element: Element) -> None:
        step = self._length(element)
        self._at += step if element.tag == "forward" else -step

    def note(self, element: Element) -> None:
        struck_with, grace = element.find("chord") is not None, element.find("grace") is not None
        duration = Fraction(0) if grace else self._length(element)
        if self._is_melody(element):
            note = read_note(element, duration, tick=self._tick)
            self.left_out.update(left_out(element))
            if struck_with and self._is_over_another:
                self.left_out["notes of further voices"] += 1
            elif struck_with:
                self._struck_with_last(note, grace=grace)
            elif grace:
                self._graces.append(note)
            else:
                self._append(note)
        else:
            self.left_out["notes of further voices"] += 1
        if not struck_with:
            self._at += duration

    def _is_melody(self, element: Element) -> bool:
        """Whether a note is of the voice that the part began with, on the first staff, and no cue."""
        if element.find("cue") is not None or (element.findtext("staff") or "1").strip() != "1":
            return False
        voice = (element.findtext("voice") or "1").strip()
        if self.voice is None:
            self.voice = voice
        return voice == self.voice

    def _append(self, note: Note) -> None:
        place = self._place()
        # Over a note of the same voice, as no melody can be; what is struck with it goes the same way.
        self._is_over_another = place < self._end
        if self._is_over_another:
            self.left_out["notes of further voices"] += 1
            return
        if place > self._end:  # The voice was silent without a rest: `forward`.
            self._notes.append(Note(length=_writable(place - self._end), hidden=True))
        _writable(note.length)
        self._notes.append(replace(note, graces=tuple(self._graces)))
        self._graces.clear()
        self._end = place + note.length

    def _place(self) -> Fraction:
        """Where the clock stands; the melody's end where it stands less than a tick beside it, which is rounding."""
        return self._end if abs(self._at - self._end) < self._tick else self._at

    @property
    def _tick(self) -> Fraction:
        return 1 / self.divisions / 4

    def _struck_with_last(self, added: Note, *, grace: bool) -> None:
        notes = self._graces if grace else self._notes
        if not notes:
            raise ValueError("a note is struck with one before it, and none is there")
        last = notes[-1]
        notes[-1] = replace(last, pitches=last.pitches + added.pitches, tied=last.tied + added.tied)

    def melody(self) -> tuple[Note, ...]:
        if self._graces:
            self.left_out["grace notes after the last note"] += len(self._graces)
        return tuple(self._notes)

    def chord(self, harmony: Element) -> None:
        """The chord symbols of a <harmony>, placed by the clock and its offset."""
        offset = _whole_notes(harmony.findtext("offset") or "0", self.divisions)
        at = max(self._place() + offset, Fraction(0))
        frame = [child for child in harmony if child.tag == "frame"]
        self.left_out.update(["fret diagrams"] * len(frame))
        symbol = _chord(harmony)
        if symbol is None:
            self.left_out["chord functions"] += 1
        else:
            self.chords.append(PlacedChord(at, symbol))


def _writable(length: Fraction) -> Fraction:
    if length <= 0 or max((length * 8).as_integer_ratio()) > MOST_DIGITS:
        raise ValueError(f"a note of {length} of a whole note's length")
    return length


@lru_cache(maxsize=4096)
def _whole_notes(duration: str, divisions: Fraction) -> Fraction:
    return number(duration) / divisions / 4


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
    step = (harmony.findtext(f"{name}/{name}-step") or "").strip().upper()
    if not step:
        return None
    alter = round(number(harmony.findtext(f"{name}/{name}-alter") or "0"))
    if step not in SEMITONES or abs(alter) > MOST_ALTER:
        raise ValueError(f"a chord's {name} of step '{step}' altered by {alter}")
    return Spelling(step, alter)


def _degree(element: Element) -> Degree:
    value = whole_number(element.findtext("degree-value") or "1")
    alter = round(number(element.findtext("degree-alter") or "0"))
    kind = (element.findtext("degree-type") or "add").strip()
    return Degree(value, alter, "alter" if kind == "add" and value == 5 and alter else kind)
