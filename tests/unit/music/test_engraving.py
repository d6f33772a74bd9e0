"""A melody is engraved with everything that is written in it; without verovio the sentence says what to install."""

import re
import sys
from xml.etree.ElementTree import fromstring

import pytest

from outcrop.errors import MachineTrouble
from outcrop.music.abc_reading import read_music
from outcrop.music.engraving import engraved
from outcrop.music.musicxml_writing import beamed, musicxml_text
from outcrop.music.score import Metre

TEXT = '"F"Ac2A _BA(3EF^F|:"Em7b5"Gd_BG"A7"A^C2G|[1 {g}c8:|[2 c5z3|]'


def test_a_melody_is_engraved_with_its_chords_tuplets_endings_and_grace_notes() -> None:
    pytest.importorskip("verovio", reason="verovio is not installed: pip install verovio")
    (page,) = engraved(read_music(TEXT, metre=Metre(4, 4)).part, title="A tune")
    svg = fromstring(page)
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    words = "".join(svg.itertext())
    assert "A tune" in words
    assert "Em7" in words
    classes = re.findall(r'class="([a-zA-Z]+)', page)
    told = {kind: classes.count(kind) for kind in ("measure", "note", "tuplet", "harm", "tie", "accid")}
    # A grace note is a note, and the five eighths at the end are two that are tied.
    assert told == {"measure": 4, "note": 19, "tuplet": 1, "harm": 3, "tie": 1, "accid": 4}


def test_engraving_without_verovio_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verovio", None)
    with pytest.raises(MachineTrouble, match="Engraving needs verovio"):
        engraved(read_music(TEXT).part)


def test_a_length_that_no_note_has_is_written_as_tied_notes() -> None:
    document = fromstring(musicxml_text(read_music("c5z3|", metre=Metre(4, 4)).part).split("\n", 1)[1])
    notes = [(note.findtext("type"), [tie.get("type") for tie in note.iter("tie")]) for note in document.iter("note")]
    assert notes == [
        ("half", ["start"]),
        ("eighth", ["stop"]),
        ("quarter", []),
    ]


def test_beams_join_what_is_shorter_than_a_quarter_within_a_beat() -> None:
    def beams(text: str, metre: Metre) -> dict[int, str]:
        return beamed(read_music(text, metre=metre).part.bars[0])

    assert beams("ABcd e2f2|", Metre(4, 4)) == {0: "begin", 1: "continue", 2: "continue", 3: "end"}
    assert beams("ABc def|", Metre(6, 8)) == {0: "begin", 1: "continue", 2: "end", 3: "begin", 4: "continue", 5: "end"}
    assert beams("A/B/cdz|", Metre(2, 4)) == {0: "begin", 1: "continue", 2: "end"}
    assert beams("Az", Metre(2, 4)) == {}
