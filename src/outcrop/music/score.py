"""A score as values: parts, bars, notes with exact lengths, and chord symbols with the places where they sound.

Lengths are fractions of a whole note, so that tuplets add up. Repeats stay signs on bars; `playing.py` unrolls them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from outcrop.music.chord_symbols import ChordSymbol
from outcrop.music.keys import C_MAJOR, Key, Pitch

DOUBLE, FINAL, PLAIN = "double", "final", "plain"


class Metre(NamedTuple):
    """A time signature such as 6/8."""

    beats: int
    unit: int

    @property
    def length(self) -> Fraction:
        """Length of a full bar, in whole notes."""
        return Fraction(self.beats, self.unit)

    @property
    def beat(self) -> Fraction:
        """Length of one beat as counted: a dotted unit in 6/8, 9/8 and 12/8, else the unit."""
        compound = self.unit >= 8 and self.beats % 3 == 0
        return Fraction(3 if compound else 1, self.unit)

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Tuplet(NamedTuple):
    """A ratio of written to sounding lengths: `actual` notes in the time of `normal`."""

    actual: int
    normal: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note, a rest, or several notes struck together."""

    length: Fraction
    "As it sounds, in whole notes; of a grace note, as written."
    pitches: tuple[Pitch, ...] = ()
    "Empty: a rest."
    tied: tuple[Pitch, ...] = ()
    "The pitches that are held into the next note."
    tuplet: Tuplet | None = None
    opens_tuplet: bool = False
    "The first note of a tuplet's group."
    graces: tuple["Note", ...] = ()
    "Grace notes before this note."
    hidden: bool = False
    "A rest that is counted but not printed."

    @property
    def written(self) -> Fraction:
        """Length as written: an eighth of a triplet sounds 1/12 and is written 1/8."""
        return self.length * Fraction(*self.tuplet) if self.tuplet else self.length


class PlacedChord(NamedTuple):
    """A chord symbol and the place in its bar from which it sounds, in whole notes from the bar's beginning."""

    at: Fraction
    symbol: ChordSymbol


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar of one voice, with the key and metre that hold in it."""

    number: str
    "As the source counts it."
    notes: tuple[Note, ...]
    chords: tuple[PlacedChord, ...] = ()
    key: Key = C_MAJOR
    metre: Metre | None = None
    repeat_start: bool = False
    repeat_end: int = 0
    "How often the repeat that ends here is played, 2 for the usual one; 0 where none ends."
    ending: tuple[int, ...] = ()
    "The passes of the repeat in which this bar is played; empty outside the endings (voltas)."
    ending_starts: bool = False
    line: str = PLAIN
    "The bar line at its right."

    @property
    def length(self) -> Fraction:
        """The lengths of its notes, added up."""
        return sum((note.length for note in self.notes), Fraction(0))

    @property
    def is_full(self) -> bool:
        """Whether its notes fill the metre exactly; a pickup does not."""
        return self.metre is not None and self.length == self.metre.length


@dataclass(frozen=True, kw_only=True)
class Part:
    """The melody of one part: its first voice, bar by bar."""

    name: str
    bars: tuple[Bar, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    "What the source holds beyond notes, chord symbols and form: kind and count, e.g. {'dynamics': 3}."


@dataclass(frozen=True, kw_only=True)
class MusicScore:
    """A piece of music: title, makers and parts."""

    title: str
    makers: tuple[str, ...]
    parts: tuple[Part, ...]
