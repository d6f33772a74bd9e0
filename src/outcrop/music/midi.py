"""A melody and its chords as a Standard MIDI File, as it is played: repeats unrolled, ties held.

Format 1, 480 ticks a quarter: a track of tempo and metre, one of the melody, one of the chords in whole sounds.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from outcrop.music.playing import playing_order
from outcrop.music.score import Bar, Metre

TICKS = 480
_MELODY, _CHORDS = 0, 1
_LOUD, _SOFT = 90, 55
_LOWEST_OF_CHORD = 48
Event = tuple[int, int, bytes]
"Tick, rank among events of one tick, bytes."


def midi_bytes(bars: Sequence[Bar], *, beats_per_minute: float = 120, program: int = 0, chords: bool = True) -> bytes:
    """The bars as a MIDI file; `program` is the instrument of General MIDI, counted from 0."""
    order = [bars[index] for index in playing_order(bars)]
    tracks = [_track(_signs(order, beats_per_minute)), _track(melody_events(order, program))]
    if chords and any(bar.chords for bar in order):
        tracks.append(_track(chord_events(order)))
    return b"MThd" + _number(6, 4) + _number(1, 2) + _number(len(tracks), 2) + _number(TICKS, 2) + b"".join(tracks)


def _signs(bars: Sequence[Bar], beats_per_minute: float) -> Iterator[Event]:
    yield 0, 0, b"\xff\x51\x03" + _number(round(60_000_000 / beats_per_minute), 3)
    told: Metre | None = None
    for start, bar in _placed(bars):
        if bar.metre and bar.metre != told and bar.metre.unit & (bar.metre.unit - 1) == 0 and bar.metre.beats < 256:
            told = bar.metre
            yield _ticks(start), 0, bytes([0xFF, 0x58, 4, told.beats, told.unit.bit_length() - 1, 24, 8])


def melody_events(bars: Sequence[Bar], program: int = 0) -> Iterator[Event]:
    """Notes on and off of bars in playing order; a tied note stays on."""
    yield 0, 0, bytes([0xC0 | _MELODY, program])
    held: set[int] = set()
    for start, bar in _placed(bars):
        at = start
        for note in bar.notes:
            keys = {pitch.midi for pitch in note.pitches}
            tied = {pitch.midi for pitch in note.tied}
            for key in sorted(held - keys):  # A tie that led nowhere.
                yield _ticks(at), 0, _key(0x80 | _MELODY, key, 0)
            for key in sorted(keys - held):
                yield _ticks(at), 1, _key(0x90 | _MELODY, key, _LOUD)
            at += note.length
            for key in sorted(keys - tied):
                yield _ticks(at), 0, _key(0x80 | _MELODY, key, 0)
            held = keys & tied
    for key in sorted(held):
        yield _ticks(sum((bar.length for bar in bars), Fraction(0))), 0, _key(0x80 | _MELODY, key, 0)


def chord_events(bars: Sequence[Bar]) -> Iterator[Event]:
    """Chords on and off: a chord sounds from its place to the next one's."""
    end = sum((bar.length for bar in bars), Fraction(0))
    places = [
        (start + chord.at, chord.symbol.tones or frozenset()) for start, bar in _placed(bars) for chord in bar.chords
    ]
    yield 0, 0, bytes([0xC0 | _CHORDS, 0])
    for index, (at, tones) in enumerate(places):
        until = places[index + 1][0] if index + 1 < len(places) else end
        for tone in sorted(tones):
            key = _LOWEST_OF_CHORD + tone
            yield _ticks(at), 1, _key(0x90 | _CHORDS, key, _SOFT)
            yield _ticks(until), 0, _key(0x80 | _CHORDS, key, 0)


def _placed(bars: Sequence[Bar]) -> Iterator[tuple[Fraction, Bar]]:
    start = Fraction(0)
    for bar in bars:
        yield start, bar
        start += bar.length


def _track(events: Iterator[Event]) -> bytes:
    body, last = b"", 0
    for tick, _, event in sorted(events, key=lambda each: each[:2]):
        body += _variable(tick - last) + event
        last = tick
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + _number(len(body), 4) + body


def _ticks(length: Fraction) -> int:
    return round(length * 4 * TICKS)


def _key(status: int, key: int, velocity: int) -> bytes:
    return bytes([status, min(max(key, 0), 127), velocity])


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _variable(value: int) -> bytes:
    """A number in groups of seven bits, as MIDI writes times."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))
