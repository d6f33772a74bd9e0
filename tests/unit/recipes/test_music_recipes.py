"""Scores become lines of ABC and gaps to fill, in the forms of the Gen Parker article."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import outcrop.recipes.melodies
from outcrop.errors import Invalid
from outcrop.music.abc_reading import read_music
from outcrop.music.infilling import parse_prompt
from outcrop.music.playing import fills
from outcrop.recipes.infill import infill
from outcrop.recipes.melodies import SUFFIXES
from outcrop.recipes.musicxml import musicxml
from outcrop.recipes.recipe import Dropped, Item, Kept, RecipeRun
from outcrop.recipes.writing import write
from tests.support.lead_sheets import lead_sheets
from tests.support.small_tokenizers import TEST_DATA

TUNE = 'X:1\nT:A tune\nM:4/4\nL:1/8\nK:F\n"F"Ac2A BA(3EF^F|"Em7b5"Gd"A7"BGA^C2G|"Dm"F8|\n'


def abc(folder: Path, *tunes: str, name: str = "a.abc") -> list[Path]:
    (folder / name).write_text("\n".join(tunes))
    return [folder / name]


def records(items: list[Item]) -> list[Any]:
    return [item.record for item in items if isinstance(item, Kept)]


def reasons(items: list[Item]) -> Counter[str]:
    return Counter(item.reason for item in items if isinstance(item, Dropped))


def test_a_tune_is_one_line_with_its_chords_and_again_without(tmp_path: Path) -> None:
    assert records(list(musicxml(abc(tmp_path, TUNE)))) == [
        {"input": '[M:4/4][L:1/8][K:F]"F"Ac2ABA(3EF^F|"Em7b5"Gd"A7"BGA^C2G|"Dm"F8|'},
        {"input": "[M:4/4][L:1/8][K:F]Ac2ABA(3EF^F|GdBGA^C2G|F8|"},
    ]


def test_the_article_s_form_has_single_quotes_and_every_accidental(tmp_path: Path) -> None:
    assert records(list(musicxml(abc(tmp_path, TUNE), form="article"))) == [
        {"input": "'F'Ac2A_BA(3EF^F|'Em7b5'Gd'A7'_BGA^C2G|'Dm'F8|"},
        {"input": "Ac2A_BA(3EF^F|Gd_BGA^C2G|F8|"},
    ]


def test_all_keys_are_twelve_of_one_group_each_spelled_right(tmp_path: Path) -> None:
    items = list(musicxml(abc(tmp_path, TUNE), chords="with", all_keys=True))
    kept = [item for item in items if isinstance(item, Kept)]
    assert [item.fields["key"] for item in kept] == ["F", "Gb", "G", "Ab", "A", "Bb", "B", "C", "Db", "D", "Eb", "E"]
    assert len({item.group for item in kept}) == 1
    assert kept[8].record["input"] == '[M:4/4][L:1/8][K:Db]"Db"FA2FGF(3CD=D|"Cm7b5"EB"F7"GEF=A,2E|"Bbm"D8|'


def test_the_chords_option_takes_one_of_both(tmp_path: Path) -> None:
    plain = re.sub(r'"[^"]*"', "", TUNE).replace("A tune", "B")
    files = abc(tmp_path, TUNE, plain)
    assert len(records(list(musicxml(files)))) == 3
    assert len(records(list(musicxml(files, chords="without")))) == 2
    assert reasons(list(musicxml(files, chords="with"))) == {"no chord symbols": 1}


def test_tunes_with_one_title_or_one_beginning_are_one_group(tmp_path: Path) -> None:
    other = TUNE.replace("A tune", "Another").replace("F8", "F8|G8")
    same_title = "X:3\nT:another\nK:C\nCDEF GABc|\n"
    alone = "X:4\nT:Alone\nK:C\nG2A2B2c2|\n"
    groups = [item.group for item in musicxml(abc(tmp_path, TUNE, other, same_title, alone)) if isinstance(item, Kept)]
    assert len(set(groups)) == 2
    assert len(set(groups[:-1])) == 1


def test_large_sources_are_read_twice_rather_than_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = abc(tmp_path, TUNE, TUNE.replace("A tune", "Another"))
    held = list(musicxml(files))
    monkeypatch.setattr(outcrop.recipes.melodies, "_HELD_BYTES", 0)
    assert list(musicxml(files)) == held


def test_what_cannot_be_read_or_holds_no_notes_is_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<html/>")
    files = [*abc(tmp_path, TUNE.replace("F8", "F8?"), "X:2\nT:Silence\nK:C\nz8|\n"), tmp_path / "bad.xml"]
    items = [item for item in musicxml(files) if isinstance(item, Dropped)]
    assert [(item.origin, item.reason, item.detail) for item in items] == [
        ("a.abc:1", "a bar that cannot be read", "bar 3: '?' is no music"),
        ("a.abc:8", "no notes", ""),
        ("bad.xml", "not a readable score", "bad.xml: a document of <html>, no score. Export it as MusicXML."),
    ]


def test_infilling_asks_for_the_middle_bar_in_the_article_s_form(tmp_path: Path) -> None:
    assert records(list(infill(abc(tmp_path, TUNE)))) == [
        {"prompt": "|F|Em7b5 A7|,|Ac2A_BA(3EF^F|,|Dm|,|F8|", "completion": "|Gd_BGA^C2G|"}
    ]
    (record,) = records(list(infill(abc(tmp_path, TUNE), form="variant")))
    assert record["prompt"] == "|F|Em7b5,A7|,|Ac2A_BA(3EF^F|,|Dm|,|F8|"


def test_chords_carry_over_bars_that_have_none_and_into_bars_that_change_late(tmp_path: Path) -> None:
    tune = 'X:1\nM:4/4\nL:1/8\nK:C\n"C"c8|d8|e4"G7"f4|g8|\n'
    assert [record["prompt"] for record in records(list(infill(abc(tmp_path, tune))))] == [
        "|C|C|,|c8|,|C G7|,|e4f4|",
        "|C|C G7|,|d8|,|G7|,|g8|",
    ]


def test_a_window_of_any_size_asks_for_all_bars_but_two(tmp_path: Path) -> None:
    tune = 'X:1\nM:4/4\nL:1/8\nK:C\n"C"c8|"Dm"d8|"Em"e8|"F"f8|"G"g8|\n'
    assert records(list(infill(abc(tmp_path, tune), window=5))) == [
        {"prompt": "|C|Dm|Em|F|,|c8|,|G|,|g8|", "completion": "|d8|e8|f8|"}
    ]
    with pytest.raises(Invalid, match="--window 2: not within 3 to 64 bars"):
        list(infill(abc(tmp_path, tune), window=2))
    assert reasons(list(infill(abc(tmp_path, tune), window=6))) == {"fewer bars than 6": 1}


def test_windows_follow_repeats_and_leave_out_what_is_not_whole(tmp_path: Path) -> None:
    tune = 'X:1\nM:4/4\nL:1/8\nK:C\nG2|"C"c8|"Dm"d8|[1"G"e8:|[2"F"f8|g2|\n'
    items = list(infill(abc(tmp_path, tune)))
    assert [record["completion"] for record in records(items)] == ["|d8|", "|d8|"]
    assert reasons(items) == {"a bar before the first chord symbol": 1, "a bar that does not fill its metre": 4}


def test_every_gap_of_the_lead_sheets_is_whole_and_can_be_taken_apart() -> None:
    files = lead_sheets()[::10]
    kept = records(list(infill(files)))
    assert len(kept) > 250
    for record in kept:
        gap = parse_prompt(record["prompt"])
        assert len(gap.chords) == 3
        assert all(gap.chords)
        middle = read_music(record["completion"])
        assert middle.problems == ()
        assert len(middle.part.bars) == 1
        first = read_music(gap.first + "|").part.bars[0]
        assert fills(middle.part.bars[0], full=first.length)


def test_nottingham_s_tunes_become_records_but_for_those_named(tmp_path: Path) -> None:
    source = TEST_DATA / "nottingham-abc" / "reelsd-g.abc"
    if not source.exists():
        pytest.skip(f"{source} is not here; set OUTCROP_TEST_DATA")
    card = write(RecipeRun(recipe="musicxml", rule="", sources=[source]), musicxml([source]), tmp_path / "out")
    assert card.num_in == card.num_kept + card.num_left_out
    assert {reason for reason in card.reasons if "not in the line" not in reason} == {
        "a bar that cannot be read",
    }
    parts = [
        {json.loads(line)["input"] for line in (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()}
        for name in ("train", "validation")
    ]
    assert not parts[0] & parts[1]


def test_art_songs_give_their_voice_and_name_what_is_left_out() -> None:
    folder = TEST_DATA / "openscore-lieder"
    if not folder.exists():
        pytest.skip(f"{folder} is not here; set OUTCROP_TEST_DATA")
    items = list(musicxml(sorted(folder.glob("*.mxl"))[:2], chords="without"))
    assert len(records(items)) == 2
    named = {reason.partition(":")[0] for reason in reasons(items)}
    assert {"a further part", "lyrics", "dynamics", "slurs"} <= named


def test_the_sources_of_both_recipes_are_known_by_their_endings() -> None:
    assert SUFFIXES == (".mxl", ".musicxml", ".xml", ".abc")
