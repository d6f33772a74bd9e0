"""The music of one ABC tune read into bars; what cannot be read is told with its bar.

A text that a model wrote is read by the same rules: its broken bars are known by their problems, the others count.
"""

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from outcrop.music.abc_fields import parse_key, parse_metre, parse_passes, parse_unit
from outcrop.music.abc_notes import NORMAL
from outcrop.music.abc_tokens import Token, length_of, tokens
from outcrop.music.chord_symbols import OTHER, parse_chord
from outcrop.music.keys import C_MAJOR, Key, Pitch
from outcrop.music.score import DOUBLE, FINAL, PLAIN, Bar, Metre, Note, Part, PlacedChord, Tuplet
from outcrop.music.ties import resolved

_ALTERS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
MOST_BARS_OF_REST, MOST_BARS = 500, 100_000
"Of one rest; of a tune with such rests: a few letters could ask for millions."


class AbcProblem(NamedTuple):
    """Something in a tune that cannot be read, with the index of its bar."""

    bar: int
    what: str


@dataclass(frozen=True, kw_only=True)
class AbcMusic:
    """The bars of a tune, and what in it could not be read."""

    part: Part
    problems: tuple[AbcProblem, ...]
    is_open: bool = False
    "Whether the text ends inside a bar, without a bar line."

    @property
    def broken_bars(self) -> frozenset[int]:
        """Indices of the bars in which something could not be read."""
        return frozenset(problem.bar for problem in self.problems)


def read_music(
    text: str,
    *,
    key: Key = C_MAJOR,
    metre: Metre | None = None,
    unit: Fraction = Fraction(1, 8),
    quote: str = '"',
    name: str = "",
) -> AbcMusic:
    """The bars of a tune's music, in the key, metre and unit of its header until fields change them."""
    return _BodyReader(key=key, metre=metre, unit=unit).music(text, quote=quote, name=name)


class _BodyReader:
    """The state between two tokens."""

    def __init__(self, *, key: Key, metre: Metre | None, unit: Fraction) -> None:
        self._key, self._metre, self._unit = key, metre, unit
        self._bars: list[Bar] = []
        self._problems: list[AbcProblem] = []
        self._left_out: Counter[str] = Counter()
        self._ending: tuple[int, ...] = ()
        self._start_bar()
        self._repeat_start = self._ending_starts = False
        self._tied: dict[tuple[str, int], int] = {}
        self._broken: Fraction | None = None
        self._tuplet: Tuplet | None = None
        self._tuplet_left = 0
        self._tuplet_opens = False
        self._graces: list[Note] = []
        self._in_graces = self._skipping = False
        self._struck: list[Note] | None = None

    def _start_bar(self) -> None:
        self._notes: list[Note] = []
        self._chords: list[PlacedChord] = []
        self._accidentals: dict[tuple[str, int], int] = {}
        self._at = Fraction(0)
        self._tuplet_left = 0

    def music(self, text: str, *, quote: str, name: str) -> AbcMusic:
        for token in tokens(text, quote=quote):
            if not self._skipping or token.kind in ("bar", "field"):
                self._take(token)
        self._close_what_is_open()
        is_open = bool(self._notes or self._chords)
        if is_open:
            self._end_bar(PLAIN, 0)
        bars, lost = resolved(self._bars)
        self._left_out.update(lost)
        part = Part(name=name, bars=bars, left_out=dict(sorted(self._left_out.items())))
        return AbcMusic(part=part, problems=tuple(self._problems), is_open=is_open)

    def _take(self, token: Token) -> None:
        match token.kind:
            case "note":
                self._note(token)
            case "rest":
                self._rest(token)
            case "quoted" | "single":
                self._quoted(token.parts["text"] or token.parts.get("single_text") or "")
            case "bar":
                self._bar(token)
            case "volta":
                self._ending, self._ending_starts = parse_passes(token.parts["numbers"] or ""), True
            case "field":
                self._field(token.parts["letter"] or "", (token.parts["value"] or "").strip())
            case "tuplet":
                self._open_tuplet(token)
            case "broken":
                self._break_rhythm(token.text)
            case "tie":
                self._tie()
            case "graces" | "graces_end":
                self._in_graces = token.kind == "graces"
            case "struck":
                self._struck = []
            case "struck_end":
                self._end_struck(token)
            case "overlay":
                self._left_out["voice overlays"] += 1
                self._skipping = True
            case "decoration" | "symbol":
                self._left_out["decorations"] += 1
            case "slur":
                self._left_out["slurs"] += token.text == "("
            case "other":
                self._problem(f"'{token.text}' is no music")

    def _problem(self, what: str) -> None:
        self._problems.append(AbcProblem(len(self._bars), what))

    def _note(self, token: Token) -> None:
        pitch = self._pitch(token)
        length = length_of(token) * self._unit
        if length <= 0:
            self._problem(f"'{token.text}' has no length")
        elif self._struck is not None:
            self._struck.append(Note(length=length, pitches=(pitch,)))
        else:
            self._append(Note(length=length, pitches=(pitch,)))

    def _pitch(self, token: Token) -> Pitch:
        letter, marks = token.parts["step"] or "", token.parts["octave"] or ""
        step = letter.upper()
        octave = (4 if letter == step else 5) + marks.count("'") - marks.count(",")
        place = (step, octave)
        if token.parts["accidental"]:
            self._accidentals[place] = alter = _ALTERS[token.parts["accidental"]]
        elif place in self._tied:
            alter = self._tied[place]
        else:
            alter = self._accidentals.get(place, self._key.alteration(step))
        return Pitch(step, alter, octave)

    def _rest(self, token: Token) -> None:
        kind, length = token.parts["rest"] or "", length_of(token, "rest_")
        if kind in "zx":
            self._append(Note(length=length * self._unit, hidden=kind == "x"))
            return
        if len(self._bars) > MOST_BARS:
            self._problem(f"a rest of several bars after {MOST_BARS:,}")
            return
        bars = min(int(length), MOST_BARS_OF_REST) or 1
        for number in range(bars):
            self._append(Note(length=self._metre.length if self._metre else Fraction(1), hidden=kind == "X"))
            if number + 1 < bars:
                self._end_bar(PLAIN, 0)

    def _append(self, note: Note) -> None:
        """Add a note to the bar, with the tuplet, broken rhythm and grace notes that await it."""
        if self._in_graces:
            self._graces.append(note)
            return
        if self._broken is not None:
            note, self._broken = replace(note, length=note.length * self._broken), None
        if self._tuplet_left and self._tuplet:
            ratio = Fraction(self._tuplet.normal, self._tuplet.actual)
            note = replace(note, length=note.length * ratio, tuplet=self._tuplet, opens_tuplet=self._tuplet_opens)
            self._tuplet_left, self._tuplet_opens = self._tuplet_left - 1, False
        if self._graces:
            note, self._graces = replace(note, graces=tuple(self._graces)), []
        self._notes.append(note)
        self._at += note.length
        self._tied = {}

    def _end_struck(self, token: Token) -> None:
        struck, self._struck = self._struck, None
        if not struck:
            self._problem("a ] without notes before it")
            return
        tied = tuple(pitch for note in struck for pitch in note.tied)
        length = struck[0].length * length_of(token, "struck_")
        self._append(Note(length=length, pitches=tuple(each.pitches[0] for each in struck), tied=tied))
        self._tied = {(pitch.step, pitch.octave): pitch.alter for pitch in tied}

    def _tie(self) -> None:
        notes = self._graces if self._in_graces else self._notes if self._struck is None else self._struck
        if not notes or not notes[-1].pitches:
            self._problem("a tie without a note before it")
            return
        notes[-1] = replace(notes[-1], tied=notes[-1].pitches)
        if notes is self._notes:
            self._tied = {(pitch.step, pitch.octave): pitch.alter for pitch in notes[-1].pitches}

    def _quoted(self, text: str) -> None:
        if not text.strip() or text[0] in "^_<>@":
            self._left_out["annotations"] += 1
            return
        symbol = parse_chord(text)
        if symbol.kind == OTHER:
            self._left_out["texts that name no chord"] += 1
        else:
            self._chords.append(PlacedChord(self._at, symbol))

    def _open_tuplet(self, token: Token) -> None:
        actual = int(token.parts["actual"] or 0)
        if actual < 2:
            self._problem(f"'{token.text}' is no tuplet")
            return
        compound = self._metre is not None and self._metre.beat.numerator == 3
        normal = int(token.parts["normal"] or 0) or NORMAL.get(actual, 3 if compound else 2)
        self._tuplet = Tuplet(actual, normal)
        self._tuplet_left = int(token.parts["count"] or 0) or actual
        self._tuplet_opens = True

    def _break_rhythm(self, signs: str) -> None:
        if not self._notes:
            self._problem(f"'{signs}' without a note before it")
            return
        short = Fraction(1, 2 ** len(signs))
        before, after = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        last = self._notes[-1]
        self._at += last.length * (before - 1)
        self._notes[-1] = replace(last, length=last.length * before)
        self._broken = after

    def _field(self, letter: str, value: str) -> None:
        if letter == "K":
            self._key = parse_key(value, otherwise=self._key)
        elif letter == "M":
            self._metre = parse_metre(value)
        elif letter == "L":
            self._unit = parse_unit(value) or self._unit

    def _bar(self, token: Token) -> None:
        both = token.parts["both"]
        closing = len(token.parts["close"] or "") if not both else 1
        line = token.parts["line"] or ""
        style = FINAL if "]" in line or "[" in line else DOUBLE if len(line) > 1 else PLAIN
        self._skipping = False
        self._close_what_is_open()
        if self._notes or self._chords:
            self._end_bar(style, closing + 1 if closing else 0)
        elif self._bars:  # A second line behind the first, as at the break of a printed line.
            last = self._bars[-1]
            line_style = style if style != PLAIN else last.line
            self._bars[-1] = replace(last, line=line_style, repeat_end=closing + 1 if closing else last.repeat_end)
            if style != PLAIN or closing:
                self._ending = ()
        if both or token.parts["open"]:
            self._repeat_start, self._ending = True, ()

    def _close_what_is_open(self) -> None:
        """At a bar's end: what began in it and did not end there is told, and forgotten."""
        if self._in_graces:
            self._problem("a { without its }")
            self._in_graces, self._graces = False, []
        if self._struck is not None:
            self._problem("a [ without its ]")
            self._struck = None
        if self._broken is not None:
            self._problem("a broken rhythm without a note behind it")
            self._broken = None

    def _end_bar(self, line: str, repeat_end: int) -> None:
        self._bars.append(
            Bar(
                number=str(len(self._bars) + 1),
                notes=tuple(self._notes),
                chords=tuple(self._chords),
                key=self._key,
                metre=self._metre,
                repeat_start=self._repeat_start,
                repeat_end=repeat_end,
                ending=self._ending,
                ending_starts=self._ending_starts,
                line=line,
            )
        )
        self._repeat_start = self._ending_starts = False
        if line != PLAIN or repeat_end:
            self._ending = ()
        self._graces = []
        self._start_bar()
