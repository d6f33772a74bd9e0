"""Notes in ABC: accidentals as far as a reader needs them, lengths against the unit, tuplets, ties, grace notes.

Programs disagree how far an accidental reaches: over its octave or all octaves, and whether it counts after a tie over
the bar line. Wherever they would read different pitches, the accidental is written out, so that all read the same.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from outcrop.music.keys import Key, Pitch
from outcrop.music.score import Note, Tuplet

UNIT = Fraction(1, 8)
MOST_DIGITS = 999_999
"The largest number that a length is written with, above and below the stroke."
ACCIDENTALS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
NORMAL = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
"The second number of a tuplet that ABC assumes when it is not written; of 5, 7 and 9 it depends on the metre."


class Accidentals:
    """The accidentals that hold in a bar, as every reader of ABC may understand them."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._in_octave: dict[tuple[str, int], int] = {}
        self._in_all: dict[str, int] = {}
        self._unsure: set[tuple[str, int]] = set()

    def before(self, pitch: Pitch, *, tied_into: bool) -> str:
        """The accidental to write before a pitch, often none; the bar remembers it."""
        step, alter, octave = pitch
        of_key = self._key.alteration(step)
        place = (step, octave)
        understood = {self._in_octave.get(place, of_key), self._in_all.get(step, of_key)}
        if understood == {alter} and place not in self._unsure:
            return ""
        self._in_octave[place] = self._in_all[step] = alter
        if tied_into:
            self._unsure.add(place)
        else:
            self._unsure.discard(place)
        return ACCIDENTALS[alter]


def letter(pitch: Pitch) -> str:
    """The letter of a pitch with its octave: C is middle C, c the one above, C, the one below."""
    if pitch.octave >= 5:
        return pitch.step.lower() + "'" * (pitch.octave - 5)
    return pitch.step + "," * (4 - pitch.octave)


def length(written: Fraction, unit: Fraction = UNIT) -> str:
    """A length as a multiple of the unit: empty for 1, / for 1/2, 3/2, /4."""
    number = written / unit
    above = "" if number.numerator == 1 else str(number.numerator)
    if number.denominator == 1:
        return above
    return f"{above}/" if number.denominator == 2 and not above else f"{above}/{number.denominator}"


def note_text(note: Note, accidentals: Accidentals, held: frozenset[Pitch]) -> str:
    """A note, chord of notes or rest; `held` are the pitches that the note before is tied into."""
    size = length(note.written)
    if not note.pitches:
        return ("x" if note.hidden else "z") + size
    texts = []
    for pitch in note.pitches:
        tie = "-" if pitch in note.tied and len(note.tied) < len(note.pitches) else ""
        texts.append(accidentals.before(pitch, tied_into=pitch in held) + letter(pitch) + tie)
    body = texts[0] if len(texts) == 1 else f"[{''.join(texts)}]"
    return body + size + ("-" if len(note.tied) == len(note.pitches) else "")


def graces_text(graces: Sequence[Note], accidentals: Accidentals) -> str:
    """Grace notes in braces, before the note that they lead to."""
    if not graces:
        return ""
    return "{" + "".join(note_text(grace, accidentals, frozenset()) for grace in graces) + "}"


def tuplet_starts(notes: Sequence[Note]) -> dict[int, str]:
    """The signs that open the tuplets of a bar, such as (3, by the index of the first note."""
    return {group[0]: _tuplet_text(notes[group[0]].tuplet, len(group)) for group in tuplet_groups(notes)}


def tuplet_groups(notes: Sequence[Note]) -> Iterator[list[int]]:
    """Indices of the notes that share a tuplet: up to the next opening, or until the ratio's time is filled."""
    group: list[int] = []
    for index, note in enumerate(notes):
        if group and (note.tuplet != notes[group[0]].tuplet or note.opens_tuplet or _is_filled(notes, group)):
            yield group
            group = []
        if note.tuplet:
            group.append(index)
    if group:
        yield group


def _is_filled(notes: Sequence[Note], group: Sequence[int]) -> bool:
    """Whether a group's written time is `actual` times a note value: then the tuplet can end."""
    tuplet = notes[group[0]].tuplet
    assert tuplet is not None, "a group is made of notes with a tuplet"
    share = sum((notes[index].written for index in group), Fraction(0)) / tuplet.actual
    shortest = min(notes[index].written for index in group)
    is_note_value = share.numerator & (share.numerator - 1) == 0 == share.denominator & (share.denominator - 1)
    return is_note_value and shortest <= share


def _tuplet_text(tuplet: Tuplet | None, count: int) -> str:
    assert tuplet is not None, "a group is made of notes with a tuplet"
    actual, normal = tuplet
    if actual == count and NORMAL.get(actual) == normal:
        return f"({actual}"
    return f"({actual}:{normal}:{count}"
