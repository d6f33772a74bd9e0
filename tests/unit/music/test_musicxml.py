"""MusicXML is read with its tuplets, voices, endings and pickups, whoever wrote it; what is dangerous is refused."""

import re
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.music import score_files, xml_elements
from outcrop.music.abc_writing import bar_notes, melody
from outcrop.music.musicxml import read_score
from outcrop.music.musicxml_writing import musicxml_text
from outcrop.music.score import MusicScore, Part

CONTAINER = '<container><rootfiles><rootfile full-path="{}"/></rootfiles></container>'


def note(step: str = "A", duration: int = 4, kind: str = "quarter", more: str = "", before: str = "") -> str:
    what = "<rest/>" if step == "z" else f"<pitch><step>{step}</step><octave>4</octave></pitch>"
    length = f"<duration>{duration}</duration>" if duration else ""
    return f"<note>{before}{what}{length}<voice>1</voice><type>{kind}</type>{more}</note>"


def triplet(step: str, duration: int, kind: str, marks: str = "") -> str:
    ratio = "<actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
    return note(step, duration, kind, f"<time-modification>{ratio}</time-modification>{marks}")


HEAD = "<divisions>12</divisions><key><fifths>0</fifths></key><time><beats>2</beats><beat-type>4</beat-type></time>"


def document(*bars: str, root: str = "score-partwise", head: str = HEAD) -> str:
    measures = "".join(
        f'<measure number="{number}">{f"<attributes>{head}</attributes>" if number == 1 else ""}{bar}</measure>'
        for number, bar in enumerate(bars, start=1)
    )
    parts = '<part-list><score-part id="P1"><part-name>Lead</part-name></score-part></part-list>'
    return f'<{root}>{parts}<part id="P1">{measures}</part></{root}>'


def score(folder: Path, text: str | bytes, name: str = "a.musicxml") -> MusicScore:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_score(folder / name)


def part(folder: Path, *bars: str) -> Part:
    return score(folder, document(*bars)).parts[0]


def abc(folder: Path, *bars: str) -> str:
    return melody(part(folder, *bars)).removeprefix("[M:2/4][L:1/8][K:C]")


def test_lengths_come_from_divisions_and_agree_with_what_is_written(tmp_path: Path) -> None:
    read = part(tmp_path, note(duration=12) + note("B", 6, "eighth") + note("c", 6, "eighth"))
    assert [each.length for each in read.bars[0].notes] == [Fraction(1, 4), Fraction(1, 8), Fraction(1, 8)]
    assert read.bars[0].is_full


def test_a_duration_rounded_to_ticks_is_what_is_written(tmp_path: Path) -> None:
    # 7 divisions a quarter: a triplet's eighth would be 2 1/3 of them.
    head = HEAD.replace(">12<", ">7<")
    read = score(
        tmp_path, document("".join(triplet("A", size, "eighth") for size in (2, 2, 3)) + note(duration=7), head=head)
    )
    assert [each.length for each in read.parts[0].bars[0].notes] == [Fraction(1, 12)] * 3 + [Fraction(1, 4)]


@pytest.mark.parametrize(
    ("bar", "written"),
    [
        (triplet("A", 8, "quarter") + triplet("B", 4, "eighth") + note(duration=12), "(3:2:2A2BA2|"),
        (triplet("A", 4, "eighth") + triplet("B", 4, "eighth") + note(duration=12), "(3:2:2ABA2|"),
        (
            triplet("A", 4, "eighth", '<notations><tuplet type="start"/></notations>')
            + triplet("B", 4, "eighth", '<notations><tuplet type="stop"/></notations>')
            + triplet("A", 4, "eighth", '<notations><tuplet type="start"/></notations>')
            + triplet("B", 4, "eighth", '<notations><tuplet type="stop"/></notations>'),
            "(3:2:2AB(3:2:2AB|",
        ),
        (triplet("z", 4, "eighth") + triplet("A", 4, "eighth") + triplet("B", 4, "eighth"), "(3zAB|"),
    ],
)
def test_incomplete_triplets_keep_their_notes(tmp_path: Path, bar: str, written: str) -> None:
    assert abc(tmp_path, bar) == written


def test_pickups_repeats_and_endings_stay_where_they_are(tmp_path: Path) -> None:
    start = '<barline location="left"><repeat direction="forward"/></barline>'
    stop = '<repeat direction="backward"/></barline>'
    written = abc(
        tmp_path,
        note("G", 6, "eighth"),
        start + note("A", 24, "half"),
        '<barline location="left"><ending number="1" type="start"/></barline>'
        + note("B", 24, "half")
        + f'<barline location="right"><ending number="1" type="stop"/>{stop}',
        '<barline location="left"><ending number="2" type="start"/></barline>' + note("C", 24, "half"),
        note("D", 24, "half") + '<barline location="right"><ending number="2" type="discontinue"/></barline>',
        note("E", 24, "half") + '<barline location="right"><bar-style>light-heavy</bar-style></barline>',
    )
    assert written == "G|:A4|[1B4:|[2C4|D4||E4|]"


def test_notes_struck_together_grace_notes_and_silence_without_rest(tmp_path: Path) -> None:
    chord = note("C", 12) + note("E", 12, before="<chord/>") + note("G", 12, before="<chord/>")
    grace = note("B", 0, "eighth", before='<grace slash="yes"/>')
    assert abc(tmp_path, chord + grace + note("A", 12)) == "[CEG]2{B}A2|"
    assert abc(tmp_path, "<forward><duration>12</duration></forward>" + note("A", 12)) == "x2A2|"


def test_the_melody_is_the_first_voice_and_the_others_are_counted(tmp_path: Path) -> None:
    second = note("C", 24, "half").replace("<voice>1", "<voice>2")
    read = part(tmp_path, note("A", 24, "half") + "<backup><duration>24</duration></backup>" + second)
    assert melody(read).endswith("A4|")
    assert read.left_out == {"notes of further voices": 1}
    back = "<backup><duration>24</duration></backup>"
    over = part(tmp_path, note("A", 24, "half") + back + note("C", 24, "half") + note("E", 24, before="<chord/>"))
    assert melody(over).endswith("A4|")
    assert over.left_out == {"notes of further voices": 2}


def test_what_a_melody_does_not_hold_is_counted_by_kind(tmp_path: Path) -> None:
    marks = "<notations><slur type='start'/><fermata/></notations><lyric><text>la</text></lyric>"
    directions = "<direction><direction-type><dynamics><f/></dynamics></direction-type></direction>"
    read = part(tmp_path, directions + note(duration=24, kind="half", more=marks))
    assert read.left_out == {"dynamics": 1, "fermata": 1, "lyrics": 1, "slurs": 1}


def test_chords_stand_where_the_clock_and_their_offset_say(tmp_path: Path) -> None:
    def harmony(step: str, kind: str, more: str = "", text: str = "") -> str:
        return f'<harmony><root><root-step>{step}</root-step></root><kind text="{text}">{kind}</kind>{more}</harmony>'

    half = note("A", 12) + note("B", 12)
    degree = (
        "<degree><degree-value>7</degree-value><degree-alter>0</degree-alter><degree-type>add</degree-type></degree>"
    )
    assert abc(
        tmp_path, harmony("A", "half-diminished") + note("A", 12) + harmony("D", "dominant") + note("B", 12)
    ) == ('"Am7b5"A2"D7"B2|')
    assert abc(tmp_path, harmony("G", "suspended-fourth", degree) + half) == '"G7sus4"A2B2|'
    assert abc(tmp_path, harmony("C", "major") + harmony("F", "minor", "<offset>12</offset>") + half) == '"C"A2"Fm"B2|'
    assert abc(tmp_path, harmony("C", "other", text="m7b5") + half) == '"Cm7b5"A2B2|'
    assert abc(tmp_path, harmony("C", "none", text="N.C.") + half) == '"N.C."A2B2|'


def test_a_tie_into_another_pitch_is_none_and_is_counted(tmp_path: Path) -> None:
    tie = '<tie type="start"/>'
    read = part(tmp_path, note("A", 12, more=tie) + note("B", 12, more=tie), note("B", 24, "half"))
    assert melody(read).endswith("A2B2-|B4|")
    assert read.left_out == {"ties into another pitch": 1}


def test_a_score_measure_by_measure_is_the_same_score(tmp_path: Path) -> None:
    timewise = (
        '<score-timewise><part-list><score-part id="P1"><part-name>Lead</part-name></score-part></part-list>'
        f'<measure number="1"><part id="P1"><attributes>{HEAD}</attributes>{note("A", 24, "half")}</part></measure>'
        f'<measure number="2"><part id="P1">{note("B", 24, "half")}</part></measure></score-timewise>'
    )
    assert (
        score(tmp_path, timewise).parts == score(tmp_path, document(note("A", 24, "half"), note("B", 24, "half"))).parts
    )


def test_an_mxl_archive_holds_the_score_that_its_container_names(tmp_path: Path) -> None:
    text = document(note(duration=24, kind="half"))
    for container in (CONTAINER.format("b.xml"), CONTAINER.format('What "is" this.xml'), None):
        with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
            if container:
                archive.writestr("META-INF/container.xml", container)
            archive.writestr("b.xml", text)
        assert len(read_score(tmp_path / "a.mxl").parts[0].bars) == 1


def test_a_written_score_reads_back_as_itself(tmp_path: Path) -> None:
    before = part(
        tmp_path,
        triplet("A", 8, "quarter") + triplet("B", 4, "eighth") + note("C", 12, more='<tie type="start"/>'),
        note("C", 24, "half", more='<tie type="stop"/>'),
    )
    again = score(tmp_path, musicxml_text(before)).parts[0]
    assert [bar_notes(bar) for bar in again.bars] == [bar_notes(bar) for bar in before.bars]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<a", "a.musicxml:1: not XML: unclosed token. Export the score as MusicXML again."),
        ("<html/>", "a.musicxml: a document of <html>, no score. Export it as MusicXML."),
        (
            '<!DOCTYPE s [<!ENTITY a "ha">]><score-partwise/>',
            "a.musicxml: declares the entity 'a'. Remove the declaration; scores need none.",
        ),
        (
            "<score-partwise/>",
            "a.musicxml: no part with bars. Export the score as MusicXML again.",
        ),
        (
            document(note(duration=4).replace("<duration>4", "<duration>four")),
            "a.musicxml: part P1, bar 1: 'four' where a number should be. Export the score again.",
        ),
        (
            document(note("H")),
            "a.musicxml: part P1, bar 1: a pitch of step 'H' and octave '4'. Export the score again.",
        ),
        (
            document(note(before="<chord/>")),
            "a.musicxml: part P1, bar 1: a note is struck with one before it, and none is there. Export the score again.",
        ),
        (
            document(note(), head=HEAD.replace("<divisions>12", "<divisions>0")),
            "a.musicxml: part P1, bar 1: divisions of 0. Export the score again.",
        ),
        (
            document(note(), head=HEAD.replace("<beats>2", "<beats>two")),
            "a.musicxml: part P1, bar 1: 'two' where a number should be. Export the score again.",
        ),
        (
            document(note(more="").replace("<octave>", "<alter>0.5</alter><octave>")),
            "a.musicxml: part P1, bar 1: A4 altered by 0.5 semitones, which ABC has no sign for. Export the score again.",
        ),
        (
            document(note(duration=4).replace("<duration>4", "<duration>1e99999999")),
            "a.musicxml: part P1, bar 1: '1e99999999' where a number should be. Export the score again.",
        ),
        (
            document(note(), head=HEAD.replace("<beats>2", "<beats>0")),
            "a.musicxml: part P1, bar 1: a metre of 0/4. Export the score again.",
        ),
        (
            document(note(), head=HEAD.replace("<fifths>0", "<fifths>1.5")),
            "a.musicxml: part P1, bar 1: 1.5 where a whole number should be. Export the score again.",
        ),
        (
            document(note(duration=0, kind="")),
            "a.musicxml: part P1, bar 1: a note of 0 of a whole note's length. Export the score again.",
        ),
        (
            document("<harmony><root><root-step>H</root-step></root><kind>major</kind></harmony>" + note()),
            "a.musicxml: part P1, bar 1: a chord's root of step 'H' altered by 0. Export the score again.",
        ),
        ("<a>" * 200, "a.musicxml: elements stand 100 deep in one another. This is no score."),
    ],
)
def test_what_is_no_score_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        score(tmp_path, text)
    assert refused.value.message == sentence


def test_an_external_document_type_is_named_and_never_fetched(tmp_path: Path) -> None:
    type_ = '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 2.0 Partwise//EN" "http://127.0.0.1:9/x.dtd">'
    assert score(tmp_path, type_ + document(note(duration=24, kind="half"))).parts


def test_archives_that_unfold_without_end_or_hold_no_score_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_files, "MOST_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", "<score-partwise>" + " " * (4 << 20))
    with pytest.raises(
        Invalid, match=re.escape("bomb.mxl: over 1 MB unpacked. Split the score, or check the archive.")
    ):
        read_score(tmp_path / "bomb.mxl")
    with zipfile.ZipFile(tmp_path / "empty.mxl", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(
        Invalid, match=re.escape("empty.mxl: the archive holds no MusicXML document. Export the score as MXL again.")
    ):
        read_score(tmp_path / "empty.mxl")
    (tmp_path / "broken.mxl").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(Invalid, match=re.escape("broken.mxl: not a readable MXL archive: File is not a zip file")):
        read_score(tmp_path / "broken.mxl")


def test_a_bar_of_too_many_elements_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_elements, "MOST_IN_ELEMENT", 50)
    with pytest.raises(
        Invalid, match=re.escape("a.musicxml: more than 50 elements in one <measure>. This is no score.")
    ):
        part(tmp_path, "".join(note(duration=1) for _ in range(20)))
