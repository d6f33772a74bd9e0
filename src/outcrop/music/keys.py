"""Pitches, key signatures and transposition, by the line of fifths: Bb F C G D A E B F#.

A step along that line is a fifth; a key signature is a place on it; and to transpose is to move everything by the same
number of steps, which is why the spelling of the result is right by itself.
"""

from typing import NamedTuple

STEPS = "FCGDAEB"
"The letters in the order of the line of fifths."
LETTERS = "CDEFGAB"
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MODES = {
    "lydian": -1,
    "major": 0,
    "ionian": 0,
    "mixolydian": 1,
    "dorian": 2,
    "minor": 3,
    "aeolian": 3,
    "phrygian": 4,
    "locrian": 5,
}
"How far the tonic lies from the major tonic of the same signature, in fifths upwards."
MOST_FIFTHS = 7


class Spelling(NamedTuple):
    """A letter with its accidental, in no octave: the root of a chord, the tonic of a key."""

    step: str
    alter: int

    @property
    def pitch_class(self) -> int:
        """Semitones above C, 0 to 11."""
        return (SEMITONES[self.step] + self.alter) % 12

    @property
    def fifths(self) -> int:
        """Place on the line of fifths, C at 0."""
        return STEPS.index(self.step) - 1 + 7 * self.alter

    def __str__(self) -> str:
        return self.step + ("#" * self.alter if self.alter >= 0 else "b" * -self.alter)


class Pitch(NamedTuple):
    """A written pitch: letter, accidental in semitones, octave; middle C is in octave 4."""

    step: str
    alter: int
    octave: int

    @property
    def midi(self) -> int:
        """Key number on a MIDI keyboard, middle C at 60."""
        return 12 * (self.octave + 1) + SEMITONES[self.step] + self.alter


class Key(NamedTuple):
    """A key signature, in sharps (positive) or flats (negative), and its mode."""

    fifths: int
    mode: str

    @property
    def tonic(self) -> Spelling:
        """The note that the key is named after."""
        return spelling_at(self.fifths + MODES[self.mode])

    def alteration(self, step: str) -> int:
        """Semitones that the signature adds to a letter."""
        return (self.fifths + 6 - STEPS.index(step)) // 7


C_MAJOR = Key(0, "major")


def spelling_at(fifths: int) -> Spelling:
    """The spelling at a place on the line of fifths."""
    alter, index = divmod(fifths + 1, 7)
    return Spelling(STEPS[index], alter)


class Transposition(NamedTuple):
    """A move of all pitches: by semitones, and along the line of fifths, which says how they are spelled."""

    semitones: int
    fifths: int

    def of_spelling(self, spelling: Spelling) -> Spelling:
        """The spelling moved; one that would need more than two accidentals is respelled."""
        moved = spelling_at(spelling.fifths + self.fifths)
        if abs(moved.alter) <= 2:
            return moved
        return spelling_at(moved.fifths - 12 if moved.alter > 0 else moved.fifths + 12)

    def of_pitch(self, pitch: Pitch) -> Pitch:
        """The pitch moved, in the octave that its sound asks for."""
        step, alter = self.of_spelling(Spelling(pitch.step, pitch.alter))
        natural = pitch.midi + self.semitones - alter
        return Pitch(step, alter, natural // 12 - 1)

    def of_key(self, key: Key) -> Key:
        """The key moved."""
        return Key(key.fifths + self.fifths, key.mode)


def transpositions(key: Key) -> list[Transposition]:
    """The moves to all twelve keys of the same mode, the given one first, by six semitones at most.

    Of two signatures that sound alike, the one with fewer accidentals is taken; of six sharps and six flats, the flats.
    """
    moves = []
    for semitones in (0, 1, 2, 3, 4, 5, 6, -5, -4, -3, -2, -1):
        fifths = (key.fifths + 7 * semitones + 6) % 12 - 6 if semitones else key.fifths
        moves.append(Transposition(semitones, fifths - key.fifths))
    return moves
