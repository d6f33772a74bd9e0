"""Repeats and endings are played as musicians play them, and become MIDI as they sound."""

import io
from fractions import Fraction

import mido
import pytest

from outcrop.music.abc_reading import read_music
from outcrop.music.midi import TICKS, midi_bytes
from outcrop.music.playing import played, playing_order, usual_length
from outcrop.music.score import Bar, Metre

COMMON = Metre(4, 4)


def bars(text: str, metre: Metre | None = COMMON) -> tuple[Bar, ...]:
    return read_music(text, metre=metre).part.bars


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("A8|B8|c8|", [0, 1, 2]),
        ("A8|B8:|c8|", [0, 1, 0, 1, 2]),
        ("A8|:B8|c8:|d8|", [0, 1, 2, 1, 2, 3]),
        ("A8|:B8::c8:|", [0, 1, 1, 2, 2]),
        ("A8|[1B8:|[2c8|d8|]", [0, 1, 0, 2, 3]),
        ("A8|[1,2B8:|[3c8|]", [0, 1, 0, 1, 0, 2]),
        ("A8|[1B8:|[2c8:|[3d8|]", [0, 1, 0, 2, 0, 3]),
        ("|:A8|[1B8:|[2c8||d8|e8:|", [0, 1, 0, 2, 3, 4, 3, 4]),
        ("A8::|B8|", [0, 0, 0, 1]),
        ("A8|[2B8|c8|", [0, 1, 2]),
        ("|:A8|", [0]),
        ("", []),
    ],
)
def test_repeats_and_endings_are_unrolled(text: str, order: list[int]) -> None:
    assert list(playing_order(bars(text))) == order


def test_a_passage_repeated_without_end_is_played_nine_times() -> None:
    assert len(list(playing_order(bars("A8" + ":" * 50 + "|")))) == 9


def test_a_bar_cut_by_a_repeat_sign_is_one_bar() -> None:
    whole = played(bars('c2|"F"A8|B6:|"G"d8|'))
    assert [each.bar.length for each in whole] == [Fraction(1, 4), 1, 1, 1, Fraction(3, 4), 1]
    assert [each.written for each in whole] == [(0,), (1,), (2, 0), (1,), (2,), (3,)]
    assert [note.pitches[0].step for note in whole[2].bar.notes] == ["B", "C"]


def test_without_a_metre_the_usual_length_makes_a_bar_whole() -> None:
    read = bars("c2|A6|A6|B4:|", metre=None)
    assert usual_length(read) == Fraction(3, 4)
    assert [each.bar.length for each in played(read, full=usual_length(read))][3] == Fraction(3, 4)
    assert usual_length([]) is None


def sounding(text: str) -> list[tuple[int, float, float]]:
    """Key, beginning and end in quarters, of the melody as another program reads it."""
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(bars(text))))
    return _notes(file.tracks[1])


def _notes(track: mido.MidiTrack) -> list[tuple[int, float, float]]:
    at, began, found = 0, {}, []
    for message in track:
        at += message.time
        if message.type == "note_on":
            began[message.note] = at
        elif message.type == "note_off":
            found.append((message.note, began.pop(message.note) / TICKS, at / TICKS))
    assert began == {}
    return found


def test_midi_holds_ties_and_plays_repeats() -> None:
    assert sounding("A4-A4|[CE]8:|") == [
        (69, 0, 4),
        (60, 4, 8),
        (64, 4, 8),
        (69, 8, 12),
        (60, 12, 16),
        (64, 12, 16),
    ]
    assert sounding("A8-|A4z4|") == [(69, 0, 6)]
    assert sounding("(3ABcd2-") == [(69, 0, 1 / 3), (71, 1 / 3, 2 / 3), (72, 2 / 3, 1), (74, 1, 2)]


def test_midi_tells_tempo_metre_and_the_chords_in_whole_sounds() -> None:
    data = midi_bytes(bars('"Am"A4"D7"A2|[M:6/8]A6|', metre=Metre(3, 4)), beats_per_minute=90, program=65)
    file = mido.MidiFile(file=io.BytesIO(data))
    signs = [(message.type, message.time) for message in file.tracks[0] if message.is_meta]
    assert signs == [("set_tempo", 0), ("time_signature", 0), ("time_signature", 3 * TICKS), ("end_of_track", 0)]
    assert file.tracks[0][0].tempo == round(60_000_000 / 90)
    assert (file.tracks[0][2].numerator, file.tracks[0][2].denominator) == (6, 8)
    assert [message.program for message in file.tracks[1] if message.type == "program_change"] == [65]
    assert _notes(file.tracks[2])[:3] == [(48, 0, 2), (52, 0, 2), (57, 0, 2)]
    assert {end for _, _, end in _notes(file.tracks[2])} == {2, 6}
    assert len(mido.MidiFile(file=io.BytesIO(midi_bytes(bars('"Am"A8|'), chords=False))).tracks) == 2
