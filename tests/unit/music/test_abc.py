"""ABC says what the notes are, whoever reads it; and what others wrote is read as they meant it."""

from fractions import Fraction

import pytest

from outcrop.music.abc_fields import parse_key, parse_metre, parse_unit, usual_unit
from outcrop.music.abc_reading import read_music
from outcrop.music.abc_writing import ARTICLE, STANDARD, AbcStyle, bar_notes, key_name, melody
from outcrop.music.keys import C_MAJOR, Key
from outcrop.music.score import Bar, Metre, Note, Tuplet

COMMON = Metre(4, 4)


def bars(text: str, *, quote: str = '"', key: Key = C_MAJOR, metre: Metre | None = COMMON) -> tuple[Bar, ...]:
    music = read_music(text, key=key, metre=metre, quote=quote)
    assert music.problems == ()
    return music.part.bars


def keys(text: str, key: Key = C_MAJOR) -> list[int]:
    """MIDI keys of the notes, in order."""
    return [pitch.midi for bar in bars(text, key=key) for note in bar.notes for pitch in note.pitches]


def lengths(text: str) -> list[Fraction]:
    """Lengths in eighths."""
    return [note.length * 8 for bar in bars(text) for note in bar.notes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C, C c c'", [48, 60, 72, 84]),
        ("^F _B =C ^^C __D", [66, 70, 60, 62, 60]),
        ("^F F|F", [66, 66, 65]),
        ("^F f", [66, 77]),
        ("^F-|F F", [66, 66, 65]),
        ("[CEG]4", [60, 64, 67]),
    ],
)
def test_letters_are_pitches_and_accidentals_last_until_the_bar_line(text: str, expected: list[int]) -> None:
    assert keys(text) == expected


def test_a_key_alters_what_has_no_accidental() -> None:
    assert keys("FCG", key=Key(2, "major")) == [66, 61, 67]
    assert keys("[K:Gm]B[K:G]BF") == [70, 71, 66]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A A2 A/ A// A/4 A3/2 A3/", ["1", "2", "1/2", "1/4", "1/4", "3/2", "3/2"]),
        ("A>B A<B A>>B", ["3/2", "1/2", "1/2", "3/2", "7/4", "1/4"]),
        ("(3ABc d", ["2/3", "2/3", "2/3", "1"]),
        ("(3:2:2A2B c", ["4/3", "2/3", "1"]),
        ("(2AB (4ABcd", ["3/2", "3/2", "3/4", "3/4", "3/4", "3/4"]),
        ("(3z{g}AB c", ["2/3", "2/3", "2/3", "1"]),
        ("[A2c2]2 [L:1/4]A", ["4", "2"]),
        ("Z2|z", ["8", "8", "1"]),
    ],
)
def test_lengths_are_exact(text: str, expected: list[str]) -> None:
    assert lengths(text) == [Fraction(each) for each in expected]


def test_repeats_endings_and_lines_are_read_wherever_programs_put_them() -> None:
    read = bars("A8|:B8|[1 c8:|[2 d8||e8::f8|1 g8:|2 a8|]")
    assert [(bar.repeat_start, bar.repeat_end, bar.ending) for bar in read] == [
        (False, 0, ()),
        (True, 0, ()),
        (False, 2, (1,)),
        (False, 0, (2,)),
        (False, 2, ()),
        (True, 0, ()),
        (False, 2, (1,)),
        (False, 0, (2,)),
    ]
    assert [bar.line for bar in read[-5:]] == ["double", "plain", "plain", "plain", "final"]
    assert [bar.ending for bar in bars("A8|[1,3 c8:|[2 d8:|]")] == [(), (1, 3), (2,)]
    assert [(bar.repeat_start, bar.repeat_end) for bar in bars("|:\nA8 | B8 :|\n|: c8 :|")] == [
        (True, 0),
        (False, 2),
        (True, 2),
    ]


def test_chords_stand_at_the_place_of_the_note_behind_them() -> None:
    (bar,) = bars('"Am"A2"^slowly"B2"D7/F#"c2"From m. 1"d2|')
    assert [(chord.at, str(chord.symbol)) for chord in bar.chords] == [
        (Fraction(0), "Am"),
        (Fraction(1, 2), "D7/F#"),
    ]


def test_the_article_s_own_line_is_read_and_written_again() -> None:
    line = "'F'Ac2A_BA(3EF^F|'Em7b5'Gd_BG'A7'A^C2G|"
    read = read_music(line, metre=COMMON, quote="'")
    assert read.problems == ()
    assert [bar.is_full for bar in read.part.bars] == [True, True]
    assert melody(read.part, ARTICLE) == line
    assert [str(chord.symbol) for bar in read.part.bars for chord in bar.chords] == ["F", "Em7b5", "A7"]


def test_octaves_and_chords_in_single_quotes_are_told_apart() -> None:
    read = read_music("c'd'e2'F'f2|", quote="'")
    assert [note.pitches[0].octave for note in read.part.bars[0].notes] == [6, 6, 5, 5]
    assert [str(chord.symbol) for chord in read.part.bars[0].chords] == ["F"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("A2?B2|", "'?' is no music"),
        ("[CE|G8|", "a [ without its ]"),
        ("c8{AB|", "a { without its }"),
        ("A2>|B8|", "a broken rhythm without a note behind it"),
        ("-A8|", "a tie without a note before it"),
        (">A8|", "'>' without a note before it"),
        ("A0B|", "'A0' has no length"),
        ("A]|", "a ] without notes before it"),
        ("(1A|", "'(1' is no tuplet"),
        ("A +B|", "'+' is no music"),
    ],
)
def test_what_is_no_music_is_told_and_reading_goes_on(text: str, what: str) -> None:
    music = read_music(f"c8|{text}d8|")
    assert [(problem.bar, problem.what) for problem in music.problems] == [(1, what)]
    assert music.broken_bars == {1}
    assert music.part.bars[-1].notes[-1].length == 1


def test_a_text_that_ends_inside_a_bar_is_open() -> None:
    assert read_music("c8|d4").is_open
    assert not read_music("c8|d8|").is_open


def test_accidentals_are_written_wherever_a_reader_could_err() -> None:
    # ^F over the bar line: some readers forget it after the tie. f beside ^F: some take the accidental for all octaves.
    assert melody(read_music("^F4-^F4-|^F4^F4|^F2=f2^F2F2|", metre=COMMON).part, AbcStyle(fields=False)) == (
        "^F4-F4-|^F4^F4|^F2=f2^F2F2|"
    )
    assert melody(read_music("[K:D]f2=f2f2^f2|", metre=COMMON).part) == "[M:4/4][L:1/8][K:D]f2=f2f2^f2|"


@pytest.mark.parametrize(
    ("notes", "written"),
    [
        ([(1, (3, 2)), (1, (3, 2))], "(3:2:2AA"),
        ([(2, (3, 2)), (1, (3, 2)), (2, None)], "(3:2:2A2AA2"),
        ([(1, (3, 2))] * 6, "(3AAA(3AAA"),
        ([(1, (5, 4))] * 5, "(5:4:5AAAAA"),
        ([(1, (6, 4))] * 6, "(6:4:6AAAAAA"),
        ([(1, (6, 2))] * 6, "(6AAAAAA"),
    ],
)
def test_tuplets_are_written_with_as_many_notes_as_they_have(
    notes: list[tuple[int, tuple[int, int] | None]], written: str
) -> None:
    (a,) = bars("A")[0].notes
    made = [
        Note(
            length=Fraction(size, 8) * (Fraction(ratio[1], ratio[0]) if ratio else 1),
            pitches=a.pitches,
            tuplet=Tuplet(*ratio) if ratio else None,
        )
        for size, ratio in notes
    ]
    text = bar_notes(Bar(number="1", notes=tuple(made)))
    assert text == written
    assert [note.length for note in bars(text)[0].notes] == [note.length for note in made]


def test_a_chord_within_a_held_note_stands_before_that_note() -> None:
    (bar,) = bars('"C"c4"G7"d4|')
    (held,) = bars("c8|")
    both = Bar(number="1", notes=held.notes, chords=bar.chords)
    assert bar_notes(both) == '"C""G7"c8'


def test_fields_stand_where_key_or_metre_change() -> None:
    text = "[M:3/4][L:1/8][K:F]c6|[M:4/4][K:C]d8|"
    assert melody(read_music(text).part, STANDARD) == text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("G", Key(1, "major")),
        ("Em", Key(1, "minor")),
        ("F#m", Key(3, "minor")),
        ("Bb", Key(-2, "major")),
        ("D mix", Key(1, "mixolydian")),
        ("Ador", Key(1, "dorian")),
        ("E minor", Key(1, "minor")),
        ("HP", Key(2, "major")),
        ("none", C_MAJOR),
        ("clef=bass", C_MAJOR),
    ],
)
def test_keys_are_read_in_every_spelling(text: str, key: Key) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("name", ["G", "Em", "Ddor", "Bb", "F#m", "Emix", "Aphr", "Bloc", "Flyd"])
def test_keys_are_named_as_they_are_read(name: str) -> None:
    assert key_name(parse_key(name)) == name


def test_metres_and_units_are_read_or_are_none() -> None:
    assert [parse_metre(text) for text in ("6/8", "C", "C|", "2+3/8", "none", "x/4", "0/4", "4/0")] == [
        Metre(6, 8),
        Metre(4, 4),
        Metre(2, 2),
        Metre(5, 8),
        None,
        None,
        None,
        None,
    ]
    assert [parse_unit(text) for text in ("1/16", "1", "1/0", "x")] == [Fraction(1, 16), Fraction(1), None, None]
    assert [usual_unit(metre) for metre in (Metre(2, 4), Metre(3, 4), None)] == [
        Fraction(1, 16),
        Fraction(1, 8),
        Fraction(1, 8),
    ]
