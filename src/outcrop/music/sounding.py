"""A melody and its chords as sound: plucked strings out of a few sines, in a WAV file."""

import io
import math
import wave
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from outcrop.music.midi import TICKS, Event, chord_events, melody_events
from outcrop.music.playing import playing_order
from outcrop.music.score import Bar

RATE = 22_050
"Samples a second: overtones up to 11 kHz are enough for a tune."
LONGEST_S = 180.0
_A4, _A4_HZ = 69, 440.0
_OVERTONES = (1.0, 0.5, 0.33, 0.2, 0.12)
_ATTACK_S, _RELEASE_S = 0.008, 0.08
_HALF_LIFE_S = 0.7
_LOUDEST = 0.8
_ON, _OFF = 0x90, 0x80
_Samples = NDArray[np.float32]


class SoundingNote(NamedTuple):
    """A note as it is heard: seconds from the beginning, seconds long, key and loudness of MIDI."""

    start: float
    length: float
    key: int
    velocity: int


def wav_bytes(bars: Sequence[Bar], *, beats_per_minute: float = 110, chords: bool = True) -> bytes:
    """The bars as they are played, repeats unrolled, in 16 bits and one channel; at most LONGEST_S seconds of them."""
    order = [bars[index] for index in playing_order(bars)]
    seconds_per_tick = 60 / beats_per_minute / TICKS
    notes = list(_notes(melody_events(order), seconds_per_tick))
    if chords:
        notes += _notes(chord_events(order), seconds_per_tick)
    samples = _mixed([note for note in notes if note.start + note.length <= LONGEST_S])
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes((samples * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def _notes(events: Iterable[Event], seconds_per_tick: float) -> Iterator[SoundingNote]:
    """The notes between the events that begin and end them."""
    begun: dict[int, tuple[int, int]] = {}
    for tick, _, event in sorted(events, key=lambda each: each[:2]):
        kind, key = event[0] & 0xF0, event[1]
        if kind == _ON:
            begun[key] = (tick, event[2])
        elif kind == _OFF and key in begun:
            start, velocity = begun.pop(key)
            yield SoundingNote(start * seconds_per_tick, (tick - start) * seconds_per_tick, key, velocity)


def _mixed(notes: Sequence[SoundingNote]) -> _Samples:
    end = max((note.start + note.length for note in notes), default=0.0) + _RELEASE_S
    mixed = np.zeros(math.ceil(end * RATE) + 1, dtype=np.float32)
    for note in notes:
        heard = _plucked(note)
        first = round(note.start * RATE)
        mixed[first : first + len(heard)] += heard[: len(mixed) - first]
    peak = float(np.abs(mixed).max(initial=0.0))
    return mixed * (_LOUDEST / peak) if peak else mixed


def _plucked(note: SoundingNote) -> _Samples:
    time_T = np.arange(math.ceil((note.length + _RELEASE_S) * RATE), dtype=np.float32) / RATE
    pitch = _A4_HZ * 2 ** ((note.key - _A4) / 12)
    sound_T = np.zeros_like(time_T)
    for number, part in enumerate(_OVERTONES, start=1):
        if pitch * number < RATE / 2:
            # Higher overtones die away sooner, as on a string.
            sound_T += part * np.sin(2 * np.pi * pitch * number * time_T) * 0.5 ** (time_T * number / _HALF_LIFE_S)
    rising_T = np.minimum(time_T / _ATTACK_S, 1)
    falling_T = np.clip((note.length + _RELEASE_S - time_T) / _RELEASE_S, 0, 1)
    heard: _Samples = (sound_T * rising_T * falling_T * note.velocity / 127).astype(np.float32)
    return heard
