"""Each measure counts on bars made by hand what anybody can count beside it."""

import math
from fractions import Fraction

import pytest

from outcrop.errors import Invalid
from outcrop.music.abc_reading import AbcMusic, read_music
from outcrop.music.infilling import ARTICLE, VARIANT, completion, parse_prompt
from outcrop.music.measures import (
    Counted,
    Phrases,
    bits_per_note,
    chord_tones,
    full_bars,
    num_notes,
    over_chords,
)
from outcrop.music.score import Bar, Metre

COMMON = Metre(4, 4)


def music(text: str, metre: Metre | None = COMMON) -> AbcMusic:
    return read_music(text, metre=metre)


def bars(text: str, metre: Metre | None = COMMON) -> tuple[Bar, ...]:
    return music(text, metre).part.bars


def test_bits_per_note_are_nats_over_ln_two_and_notes() -> None:
    assert bits_per_note(-8 * math.log(2), 4) == pytest.approx(2)
    with pytest.raises(ValueError, match="bits per note of 0 notes"):
        bits_per_note(-1.0, 0)


def test_notes_are_counted_without_rests_and_graces_and_chords_once() -> None:
    assert num_notes(bars("A2z2{g}B2[CE]2|x8|")) == 3


def test_a_bar_is_full_when_its_lengths_add_up_to_the_metre() -> None:
    assert full_bars(music("A8|A4A2|(3ABcd6|A4A4A|")) == Counted(2, 4)
    assert full_bars(music("|dcdcz2z(3d/c/_B/|")).share == 1
    assert full_bars(music("A6|", Metre(3, 4))) == Counted(1, 1)
    assert full_bars(music("A8|", None)).share is None
    assert Counted(1, 2) + Counted(2, 2) == Counted(3, 4)


def test_a_bar_that_cannot_be_read_is_not_full() -> None:
    assert full_bars(music("A8|A4?A4|A8|")) == Counted(2, 3)


def test_the_bar_in_which_a_text_was_cut_off_is_not_counted() -> None:
    assert full_bars(music("A8|A4"), is_cut_off=True) == Counted(1, 1)
    assert full_bars(music("A8|A4")) == Counted(1, 2)
    assert full_bars(music("A8|A4|"), is_cut_off=True) == Counted(1, 2)


def test_chord_tones_are_counted_on_the_beat_and_chance_is_told() -> None:
    # C: c e f g, on the beats c, f (no tone of C), g, and the g held over.
    told = chord_tones([bars('"C"c2f2g4|')])
    assert told.beats == Counted(3, 4)
    assert told.uniform_chance == pytest.approx(3 / 12)
    assert told.shuffled_chance == pytest.approx(3 / 4)


def test_chance_falls_where_a_line_follows_its_chords() -> None:
    told = chord_tones([bars('"C"c8|"F#"^f8|')])
    assert told.beats.share == 1
    assert told.shuffled_chance == pytest.approx(1 / 2)


def test_chords_carry_over_bars_of_one_tune_and_rests_are_not_counted() -> None:
    assert chord_tones([bars('"C"c8|z4e4|')]).beats == Counted(6, 6)
    assert chord_tones([bars('"C"c8|'), bars("e8|")]).beats == Counted(4, 4)
    assert chord_tones([bars('e4"C"d4|')]).beats == Counted(0, 2)
    assert chord_tones([]).beats.share is None


def test_beats_of_compound_metres_are_dotted() -> None:
    assert chord_tones([bars('"C"c3d3|', Metre(6, 8))]).beats == Counted(1, 2)


def test_chords_of_a_prompt_are_laid_over_an_answer_in_equal_parts() -> None:
    laid = over_chords(bars("c4d4|e8|"), [("C", "G7"), ("C",)])
    assert [(str(place.symbol), place.at) for bar in laid for place in bar.chords] == [
        ("C", Fraction(0)),
        ("G7", Fraction(1, 2)),
        ("C", Fraction(0)),
    ]
    assert chord_tones([laid]).beats == Counted(8, 8)


def test_a_phrase_is_copied_when_pitches_and_lengths_are_those_of_a_known_bar() -> None:
    known = Phrases()
    known.add(bars("ABcd efga|A2B2c2d2|"))
    assert known.copied(bars("ABcd efga|A2B2c2e2|ABcdefg2|")) == Counted(1, 3)
    assert known.copied(bars("^ABcd efga|")) == Counted(0, 1)
    assert known.copied(bars("A8|")).share is None


def test_phrases_are_known_in_other_keys_and_of_several_bars_where_asked_for() -> None:
    known = Phrases(any_key=True)
    known.add(bars("CDEF GABc|"))
    assert known.copied(bars("FGA_B cdef|")) == Counted(1, 1)
    pairs = Phrases(num_bars=2)
    pairs.add(bars("A2B2c2d2|e2f2g2a2|"))
    assert pairs.copied(bars("A2B2c2d2|e2f2g2a2|A2B2c2d2|")) == Counted(1, 2)


def test_a_prompt_for_infilling_is_taken_apart_in_both_forms() -> None:
    article = "|F|Cm|,|(3G/A/G/FDBC_BA/C/_E/G/|,|F7|,|G_EC_BA_G/F/E=E|"
    gap = parse_prompt(article)
    assert (gap.chords, gap.first, gap.last) == (
        (("F",), ("Cm",), ("F7",)),
        "(3G/A/G/FDBC_BA/C/_E/G/",
        "G_EC_BA_G/F/E=E",
    )
    assert (gap.chords_of_gap, gap.text()) == ((("Cm",),), article)
    variant = "|Dm,G7|C|,|z4z2zG|,|Dm,G7|,|FECAE2CG-|"
    assert parse_prompt(variant).chords == (("Dm", "G7"), ("C",), ("Dm", "G7"))
    assert parse_prompt(variant).text(VARIANT) == variant
    assert parse_prompt("|Dm G7|C|G|,|A8|,|C|,|B8|").text(ARTICLE) == "|Dm G7|C|G|,|A8|,|C|,|B8|"
    assert completion(["A8", "B8"]) == "|A8|B8|"
    with pytest.raises(Invalid, match="'Play on' is no prompt for infilling"):
        parse_prompt("Play on")
