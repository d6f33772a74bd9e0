"""Laws of music as text: what is written is read as it was, in every key."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.music.abc_reading import read_music
from outcrop.music.abc_writing import ARTICLE, STANDARD, AbcStyle, melody, transposed
from outcrop.music.chord_symbols import parse_chord
from outcrop.music.keys import Key, Pitch, transpositions
from outcrop.music.score import Bar, Metre, Note, Part, PlacedChord, Tuplet
from outcrop.music.ties import resolved

PITCHES = st.builds(Pitch, st.sampled_from("CDEFGAB"), st.integers(-2, 2), st.integers(3, 6))
WRITTEN = st.sampled_from(
    [Fraction(1, 4), Fraction(1, 8), Fraction(3, 16), Fraction(1, 16), Fraction(1, 32), Fraction(5, 8)]
)
CHORDS = st.sampled_from(["C", "Am7b5", "F#m", "Bb7sus4", "EbmMaj7", "G/B"]).map(parse_chord)
KEYS = st.builds(Key, st.integers(-6, 6), st.sampled_from(["major", "minor", "dorian"]))


@st.composite
def notes(draw: st.DrawFn) -> Note:
    pitches = tuple(dict.fromkeys(draw(st.lists(PITCHES, max_size=2))))
    places = {(pitch.step, pitch.octave) for pitch in pitches}
    pitches = pitches if len(places) == len(pitches) else pitches[:1]
    tied = pitches if draw(st.booleans()) else ()
    graces = tuple(Note(length=Fraction(1, 8), pitches=(pitch,)) for pitch in draw(st.lists(PITCHES, max_size=1)))
    return Note(length=draw(WRITTEN), pitches=pitches, tied=tied, graces=graces)


@st.composite
def tuplets(draw: st.DrawFn) -> list[Note]:
    ratio = draw(st.sampled_from([Tuplet(3, 2), Tuplet(5, 4), Tuplet(6, 4), Tuplet(2, 3)]))
    group = draw(st.lists(notes(), min_size=1, max_size=5))
    sounding = Fraction(ratio.normal, ratio.actual)
    return [
        Note(
            length=note.length * sounding,
            pitches=note.pitches,
            tied=note.tied,
            graces=note.graces,
            tuplet=ratio,
            opens_tuplet=index == 0,
        )
        for index, note in enumerate(group)
    ]


@st.composite
def parts(draw: st.DrawFn) -> Part:
    key, metre = draw(KEYS), draw(st.sampled_from([None, Metre(4, 4), Metre(6, 8)]))
    bars = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        groups = draw(st.lists(st.one_of(notes().map(lambda note: [note]), tuplets()), min_size=1, max_size=5))
        sounding = tuple(note for group in groups for note in group)
        chords = (PlacedChord(Fraction(0), draw(CHORDS)),) if draw(st.booleans()) else ()
        bars.append(Bar(number=str(number), notes=sounding, chords=chords, key=key, metre=metre))
    return Part(name="", bars=resolved(bars)[0])


def regrouped(part: Part) -> list[tuple[object, ...]]:
    """Notes and chords of every bar, without where a tuplet's bracket begins."""
    return [
        (
            bar.key,
            bar.metre,
            bar.chords,
            [(note.length, note.pitches, note.tied, note.tuplet, note.graces) for note in bar.notes],
        )
        for bar in part.bars
    ]


@given(part=parts(), move=st.integers(0, 11))
def test_a_melody_reads_back_as_it_was_written_in_every_key(part: Part, move: int) -> None:
    part = transposed(part, transpositions(part.bars[0].key)[move])
    read = read_music(melody(part, STANDARD))
    assert read.problems == ()
    assert regrouped(read.part) == regrouped(part)


@given(part=parts())
def test_the_article_s_form_needs_no_key_to_be_read(part: Part) -> None:
    read = read_music(melody(part, ARTICLE), quote="'")
    assert [[note.pitches for note in bar.notes] for bar in read.part.bars] == [
        [note.pitches for note in bar.notes] for bar in part.bars
    ]


@given(text=st.text("ABcd^_=,'/23()[]{}|:-<>\"zZ &!~%KML:\n", max_size=60))
@settings(max_examples=200)
def test_any_text_is_read_or_told_and_what_was_read_is_written_and_read_again(text: str) -> None:
    music = read_music(text)
    if not music.problems and music.part.bars:
        again = read_music(melody(music.part, AbcStyle(fields=False)))
        assert [bar.length for bar in again.part.bars] == [bar.length for bar in music.part.bars]
