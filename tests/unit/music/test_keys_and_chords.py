"""Keys are spelled by the line of fifths, and a chord's text and value say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.music.chord_symbols import KINDS, OTHER, ChordSymbol, Degree, parse_chord
from outcrop.music.keys import MODES, Key, Pitch, Spelling, transpositions

SPELLINGS = st.builds(Spelling, st.sampled_from("CDEFGAB"), st.integers(-1, 1))


@pytest.mark.parametrize(
    ("key", "altered"),
    [
        (Key(0, "major"), {}),
        (Key(2, "major"), {"F": 1, "C": 1}),
        (Key(-3, "minor"), {"B": -1, "E": -1, "A": -1}),
        (Key(7, "major"), dict.fromkeys("FCGDAEB", 1)),
        (Key(-7, "major"), dict.fromkeys("FCGDAEB", -1)),
    ],
)
def test_a_signature_alters_its_letters(key: Key, altered: dict[str, int]) -> None:
    assert {step: key.alteration(step) for step in "CDEFGAB" if key.alteration(step)} == altered


@pytest.mark.parametrize(
    ("key", "tonic"),
    [(Key(1, "major"), "G"), (Key(1, "minor"), "E"), (Key(0, "dorian"), "D"), (Key(-6, "major"), "Gb")],
)
def test_a_key_is_named_after_its_tonic(key: Key, tonic: str) -> None:
    assert str(key.tonic) == tonic


def test_a_melody_moves_to_twelve_keys_of_at_most_six_accidentals() -> None:
    moves = transpositions(Key(1, "major"))
    keys = [move.of_key(Key(1, "major")) for move in moves]
    assert keys[0] == Key(1, "major")
    assert sorted(key.fifths for key in keys) == list(range(-6, 6))


@given(
    key=st.builds(Key, st.integers(-6, 6), st.sampled_from(sorted(MODES))),
    pitch=st.builds(Pitch, st.sampled_from("CDEFGAB"), st.integers(-2, 2), st.integers(2, 6)),
    index=st.integers(0, 11),
)
def test_transposing_moves_the_sound_by_its_semitones_and_needs_no_third_accidental(
    key: Key, pitch: Pitch, index: int
) -> None:
    move = transpositions(key)[index]
    moved = move.of_pitch(pitch)
    assert moved.midi == pitch.midi + move.semitones
    assert abs(moved.alter) <= 2


def test_a_scale_stays_a_scale_in_every_key() -> None:
    scale = [Pitch(step, Key(-1, "major").alteration(step), 4) for step in "FGABCDE"]
    for move in transpositions(Key(-1, "major")):
        key = move.of_key(Key(-1, "major"))
        assert all(key.alteration(moved.step) == moved.alter for moved in map(move.of_pitch, scale)), key


@pytest.mark.parametrize(
    ("text", "kind", "tones"),
    [
        ("C", "major", {0, 4, 7}),
        ("Am7b5", "half-diminished", {9, 0, 3, 7}),
        ("F#ø7", "half-diminished", {6, 9, 0, 4}),
        ("G7sus4", "suspended-fourth", {7, 0, 2, 5}),
        ("Gsus", "suspended-fourth", {7, 0, 2}),
        ("G9sus4", "suspended-fourth", {7, 0, 2, 5, 9}),
        ("Bb13", "dominant-13th", {10, 2, 5, 8, 0, 3, 7}),
        ("Eb7#9", "dominant", {3, 7, 10, 1, 6}),
        ("C7b5", "dominant", {0, 4, 6, 10}),
        ("Caug7", "augmented-seventh", {0, 4, 8, 10}),
        ("C+", "augmented", {0, 4, 8}),
        ("CmMaj7", "major-minor", {0, 3, 7, 11}),
        ("C/E", "major", {0, 4, 7}),
        ("D7/c", "dominant", {2, 6, 9, 0}),
        ("D/f+", "major", {2, 6, 9}),
        ("(E7)", "dominant", {4, 8, 11, 2}),
        ("Ddim7", "diminished-seventh", {2, 5, 8, 11}),
        ("Cadd9", "major", {0, 4, 7, 2}),
        ("C7no3", "dominant", {0, 7, 10}),
        ("F5", "power", {5, 0}),
    ],
)
def test_a_chord_s_text_tells_its_kind_and_tones(text: str, kind: str, tones: set[int]) -> None:
    chord = parse_chord(text)
    assert (chord.kind, chord.tones) == (kind, frozenset(tones))


@pytest.mark.parametrize("text", ["From m. 1", "Fine", "H7", "Cxyz", ""])
def test_a_text_that_names_no_chord_has_no_tones(text: str) -> None:
    assert (parse_chord(text).kind, parse_chord(text).tones) == (OTHER, None)


def test_no_chord_is_a_chord_symbol_without_tones() -> None:
    assert str(parse_chord("N.C.")) == str(parse_chord("nc")) == "N.C."


@given(
    root=SPELLINGS,
    kind=st.sampled_from(sorted(KINDS)),
    bass=st.none() | SPELLINGS,
    degrees=st.lists(
        st.sampled_from([Degree(9, -1, "add"), Degree(9, 1, "add"), Degree(11, 1, "add"), Degree(5, -1, "alter")]),
        max_size=2,
        unique=True,
    ),
)
def test_a_chord_s_text_reads_back_as_the_same_tones(
    root: Spelling, kind: str, bass: Spelling | None, degrees: list[Degree]
) -> None:
    chord = ChordSymbol(root=root, kind=kind, bass=bass, degrees=tuple(degrees))
    read = parse_chord(str(chord))
    assert (read.root, read.bass, read.tones) == (root, bass, chord.tones)


def test_a_chord_moves_with_its_bass() -> None:
    (move,) = [move for move in transpositions(Key(0, "major")) if move.semitones == 3]
    assert str(parse_chord("Am7b5/Eb").transposed(move)) == "Cm7b5/Gb"
