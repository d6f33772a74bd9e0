"""Ties held against the notes that they lead to: one into another pitch is a slur drawn wrongly."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from outcrop.music.score import Bar, Note

INTO_ANOTHER_PITCH = "ties into another pitch"


def resolved(bars: Sequence[Bar]) -> tuple[tuple[Bar, ...], Counter[str]]:
    """The bars with only those ties that lead to the same pitch, and the count of the others."""
    lost: Counter[str] = Counter()
    following: Note | None = None
    kept: list[Bar] = []
    for bar in reversed(bars):
        notes: list[Note] = []
        for note in reversed(bar.notes):
            if note.tied:
                tied = tuple(pitch for pitch in note.tied if following is not None and pitch in following.pitches)
                lost[INTO_ANOTHER_PITCH] += len(note.tied) - len(tied)
                note = replace(note, tied=tied)
            notes.append(note)
            following = note
        kept.append(replace(bar, notes=tuple(reversed(notes))))
    return tuple(reversed(kept)), +lost
