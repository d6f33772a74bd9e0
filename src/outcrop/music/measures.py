"""Measures of melodies that a model wrote: bars that fill their metre, notes within their chords, phrases copied.

Each takes bars as `read_music` reads them, from an answer or from a real tune alike, so that both are held to one
standard. Counts are returned with what they are of; nothing is rounded.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from outcrop.music.abc_reading import AbcMusic
from outcrop.music.chord_symbols import ChordSymbol, parse_chord
from outcrop.music.score import Bar, PlacedChord

FEWEST_NOTES = 4
"Notes of a phrase: one long note in a bar is no phrase that anybody copied."


class Counted(NamedTuple):
    """How many of how many; `share` is None where there is nothing to count."""

    number: int
    of: int

    @property
    def share(self) -> float | None:
        """The number as a part of the whole, 0 to 1."""
        return self.number / self.of if self.of else None

    def __add__(self, other: object) -> "Counted":
        if not isinstance(other, Counted):
            return NotImplemented
        return Counted(self.number + other.number, self.of + other.of)


def bits_per_note(log_probability: float, num_notes: int) -> float:
    """Bits that a model needs for one note: the negative sum of log probabilities (nats) over ln 2 and notes.

    Independent of the tokenizer and of how a note is spelled, so that models of any vocabulary can be compared.
    """
    if num_notes < 1:
        raise ValueError(f"bits per note of {num_notes} notes: count those of the text that was scored")
    return -log_probability / math.log(2) / num_notes


def num_notes(bars: Iterable[Bar]) -> int:
    """Sounding notes of some bars; rests and grace notes are none, notes struck together are one."""
    return sum(bool(note.pitches) for bar in bars for note in bar.notes)


def full_bars(music: AbcMusic, *, is_cut_off: bool = False) -> Counted:
    """Bars whose notes fill the metre exactly; a bar that cannot be read does not.

    `is_cut_off` says that the text ended because a limit was reached: its last bar is then not counted, unless a bar
    line closes it. Bars without a metre are not counted.
    """
    bars = music.part.bars
    counted = bars[:-1] if is_cut_off and music.is_open else bars
    judged = [(index, bar) for index, bar in enumerate(counted) if bar.metre]
    full = sum(bar.is_full and index not in music.broken_bars for index, bar in judged)
    return Counted(full, len(judged))


@dataclass(frozen=True, kw_only=True)
class ChordTones:
    """Beats whose note is a tone of the chord that sounds, and what chance would give."""

    beats: Counted
    uniform_chance: float | None
    "Share if every pitch class were as likely: tones of the chord over twelve, on average."
    shuffled_chance: float | None
    "Share if the same notes stood over the same chords in any order; what a line gains by knowing its chords is above."


def chord_tones(tunes: Iterable[Sequence[Bar]]) -> ChordTones:
    """Chord tones per beat over some tunes: on each beat, the note that sounds against the chord that sounds.

    Chords carry over to bars of the same tune that have none. Beats with a rest, before the first chord or under a text
    that names none are not counted; of notes struck together the highest counts.
    """
    notes: Counter[int] = Counter()
    chords: Counter[frozenset[int]] = Counter()
    hits = total = 0
    for bars in tunes:
        for pitch_class, tones in _beats(bars):
            notes[pitch_class] += 1
            chords[tones] += 1
            hits += pitch_class in tones
            total += 1
    if not total:
        return ChordTones(beats=Counted(0, 0), uniform_chance=None, shuffled_chance=None)
    uniform = sum(len(tones) / 12 * number for tones, number in chords.items()) / total
    shuffled = sum(number * notes[pitch_class] for tones, number in chords.items() for pitch_class in tones) / (
        total * total
    )
    return ChordTones(beats=Counted(hits, total), uniform_chance=uniform, shuffled_chance=shuffled)


def _beats(bars: Sequence[Bar]) -> Iterator[tuple[int, frozenset[int]]]:
    """Pitch class and chord tones of every beat that has both."""
    sounding: ChordSymbol | None = None
    for bar in bars:
        beat = bar.metre.beat if bar.metre else Fraction(1, 4)
        places = list(bar.chords)
        start = Fraction(0)
        for note in bar.notes:
            at = -(-start // beat) * beat
            while at < start + note.length:
                while places and places[0].at <= at:
                    sounding = places.pop(0).symbol
                tones = sounding.tones if sounding else None
                if note.pitches and tones:
                    yield max(pitch.midi for pitch in note.pitches) % 12, tones
                at += beat
            start += note.length
        sounding = places[-1].symbol if places else sounding


def over_chords(bars: Sequence[Bar], chords: Sequence[Sequence[str]]) -> tuple[Bar, ...]:
    """The bars with chords laid over them, those of one bar in equal parts: for answers whose prompt names them."""
    laid = []
    for bar, names in zip(bars, chords, strict=False):
        length = bar.metre.length if bar.metre else bar.length
        places = (PlacedChord(length * index / len(names), parse_chord(name)) for index, name in enumerate(names))
        laid.append(replace(bar, chords=tuple(places)))
    return tuple(laid)


class Phrases:
    """The phrases of some music, by digests of eight bytes, so that a training set of any size fits.

    A phrase is the notes of so many bars that follow each other, pitches and lengths alike; `any_key` takes it for the
    same in other keys.
    """

    def __init__(self, *, num_bars: int = 1, any_key: bool = False) -> None:
        self._num_bars = num_bars
        self._any_key = any_key
        self._known: set[bytes] = set()

    def add(self, bars: Sequence[Bar]) -> None:
        """Make the phrases of a tune known."""
        self._known.update(self._digests(bars))

    def copied(self, bars: Sequence[Bar]) -> Counted:
        """How many phrases of these bars are known, of all that have enough notes."""
        digests = list(self._digests(bars))
        return Counted(sum(digest in self._known for digest in digests), len(digests))

    def _digests(self, bars: Sequence[Bar]) -> Iterator[bytes]:
        for first in range(len(bars) - self._num_bars + 1):
            notes = [note for bar in bars[first : first + self._num_bars] for note in bar.notes]
            sounding = [note for note in notes if note.pitches]
            if len(sounding) < FEWEST_NOTES:
                continue
            lowest = sounding[0].pitches[0].midi if self._any_key else 0
            told = ";".join(
                f"{','.join(str(pitch.midi - lowest) for pitch in note.pitches)}:{note.length}" for note in notes
            )
            yield hashlib.blake2b(told.encode(), digest_size=8).digest()
