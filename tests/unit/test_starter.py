"""The starter base model's workshop: MusicXML becomes ABC note for note; the bundled tokenizer loses no byte."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from outcrop.evaluation import general_texts
from starter.abc import UnwritableKeyError, key_name, to_abc
from starter.general_texts import MOST_CHARACTERS, cut

BUNDLED = Path(__file__).parents[2] / "src/outcrop/catalog/bundled/starter-v1"
SPECIAL = {"<|pad|>": 0, "<|begin|>": 1, "<|end|>": 2, "<|system|>": 3, "<|user|>": 4, "<|assistant|>": 5}
KANA = [chr(point) for point in [*range(0x3041, 0x3094), *range(0x30A1, 0x30FB), 0x30FC]]


def note(step: str, octave: int, duration: int, *, alter: int = 0, extra: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
    return f"<note>{extra}{pitch}<duration>{duration}</duration><voice>1</voice></note>"


def harmony(step: str, kind: str, *, offset: int = 0) -> str:
    root = f"<root><root-step>{step}</root-step></root>"
    return f"<harmony>{root}<kind>{kind}</kind><offset>{offset}</offset></harmony>"


def score(*measures: str, fifths: int = 0) -> ElementTree.Element:
    """A part in 4/4 whose quarter note lasts 6 divisions."""
    start = (
        f"<attributes><divisions>6</divisions><key><fifths>{fifths}</fifths></key>"
        "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    )
    bars = "".join(f"<measure>{start if index == 0 else ''}{body}</measure>" for index, body in enumerate(measures))
    return ElementTree.fromstring(f"<score-partwise><part>{bars}</part></score-partwise>")


def tune(*measures: str, fifths: int = 0, fifths_up: int = 0, with_chords: bool = True) -> str:
    abc = to_abc(score(*measures, fifths=fifths), title="T", fifths_up=fifths_up, with_chords=with_chords)
    return abc.split("\n", 4)[4].strip()


def test_a_tune_has_header_bars_and_end() -> None:
    abc = to_abc(score(note("C", 4, 24), note("C", 5, 24)), number=3, title="Two bars")
    assert abc == "X:3\nT:Two bars\nM:4/4\nL:1/8\nK:C\nC8|c8|]\n"


@pytest.mark.parametrize(("duration", "written"), [(3, "C"), (6, "C2"), (9, "C3"), (2, "C2/3"), (1, "C/3")])
def test_a_length_is_a_fraction_of_an_eighth(duration: int, written: str) -> None:
    assert tune(note("C", 4, duration)) == f"K:C\n{written}|]"


def test_an_accidental_holds_to_the_bar_line() -> None:
    sharp, plain = note("F", 4, 6, alter=1), note("F", 4, 6)
    assert tune(sharp + sharp + plain + plain, plain) == "K:C\n^F2F2=F2F2|F2|]"


def test_the_key_signature_needs_no_accidentals() -> None:
    assert tune(note("B", 4, 6, alter=-1) + note("B", 4, 6), fifths=-1) == "K:F\nB2=B2|]"


def test_a_chord_in_the_middle_of_a_note_splits_it_by_a_tie() -> None:
    bar = harmony("C", "major") + harmony("G", "dominant", offset=12) + note("E", 4, 24)
    assert tune(bar) == 'K:C\n"C"E4-"G7"E4|]'
    assert tune(bar, with_chords=False) == "K:C\nE8|]"


def test_of_simultaneous_notes_the_highest_is_kept_and_grace_notes_are_not() -> None:
    grace = "<note><grace/><pitch><step>A</step><octave>5</octave></pitch><voice>1</voice></note>"
    assert tune(grace + note("E", 4, 6) + note("G", 4, 6, extra="<chord/>")) == "K:C\nG2|]"


def test_a_tune_a_fifth_up_is_respelled_in_its_new_key() -> None:
    bar = harmony("F", "major") + note("A", 4, 12) + note("B", 4, 12, alter=-1)
    assert tune(bar, fifths=-1, fifths_up=1) == 'K:C\n"C"E4F4|]'
    assert tune(bar, fifths=-1, fifths_up=-2) == 'K:Eb\n"Eb"G4A4|]'


def test_repeats_and_endings_are_written() -> None:
    opening = '<barline location="left"><repeat direction="forward"/></barline>'
    first = '<barline location="left"><ending number="1" type="start"/></barline>'
    closing = '<barline location="right"><repeat direction="backward"/></barline>'
    assert tune(opening + note("C", 4, 24), first + note("D", 4, 24) + closing, note("E", 4, 24)) == (
        "K:C\n|:C8|[1 D8:|E8|]"
    )


def test_a_key_with_eight_sharps_is_refused() -> None:
    assert key_name(-1, minor=True) == "Dm"
    with pytest.raises(UnwritableKeyError, match="a key signature of 8 accidentals does not exist"):
        key_name(8, minor=False)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    path = BUNDLED / "tokenizer.json"
    if not path.exists():
        pytest.skip("the starter base model is not bundled in this checkout; `python -m starter.tokenizer` makes it")
    return Tokenizer.from_file(str(path))


@given(text=st.text())
def test_any_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


@given(text=st.text(alphabet=KANA[:83] + list("0123456789")))
def test_every_hiragana_and_every_digit_is_one_token(tokenizer: Tokenizer, text: str) -> None:
    assert len(tokenizer.encode(text, add_special_tokens=False).ids) == len(text)


def test_every_kana_is_in_the_vocabulary(tokenizer: Tokenizer) -> None:
    assert [kana for kana in KANA if len(tokenizer.encode(kana, add_special_tokens=False).ids) != 1] == []


def test_the_special_tokens_come_first_and_a_text_begins_with_one(tokenizer: Tokenizer) -> None:
    assert {token: tokenizer.token_to_id(token) for token in SPECIAL} == SPECIAL
    assert tokenizer.encode("犬").ids[0] == SPECIAL["<|begin|>"]
    assert tokenizer.get_vocab_size() == 6144


def test_held_out_texts_are_shipped_by_language_and_fit_the_context() -> None:
    found = general_texts.of_starter()
    assert found is not None
    assert {each.category for each in found.questions} == {"en", "ja", "abc"}
    assert all(each.is_text and len(each.reference or "") <= MOST_CHARACTERS for each in found.questions)
    assert len(found.questions) == 66


def test_a_held_out_text_is_cut_where_a_sentence_ends() -> None:
    assert cut("short ") == "short"
    sentence = "いろはにほへと。"
    assert cut(sentence * 200) == sentence * (MOST_CHARACTERS // len(sentence))
    assert len(cut("x" * 2000)) == MOST_CHARACTERS
