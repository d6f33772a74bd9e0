"""All 137 lead sheets become ABC that reads back as what was written, bar by bar, as standard and as the article."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from outcrop.music.abc_files import tunes
from outcrop.music.abc_reading import read_music
from outcrop.music.abc_writing import ARTICLE, bar_notes, melody, tune
from outcrop.music.musicxml import read_score
from outcrop.music.score import Bar
from tests.support.lead_sheets import lead_sheets

NUM_PICKUPS, NUM_ENDINGS = 25, 71


def content(bars: Sequence[Bar]) -> list[Bar]:
    """Everything of a bar but how the source counts it, and the double line with which ABC closes an ending."""
    return [replace(bar, number="", line="") for bar in bars]


def test_every_bar_of_every_score_reads_back_as_it_was(tmp_path: Path) -> None:
    num_bars = endings = pickups = 0
    for path in lead_sheets():
        score = read_score(path)
        part = score.parts[0]
        (tmp_path / "a.abc").write_text(tune(part, score))
        (read,) = tunes(tmp_path / "a.abc")
        assert read.music.problems == (), path.name
        assert content(read.score.parts[0].bars) == content(part.bars), path.name
        bare = read_music(melody(part, ARTICLE), quote="'")
        assert [bar.notes for bar in bare.part.bars] == [bar.notes for bar in part.bars], path.name
        num_bars += len(part.bars)
        endings += sum(bar.ending_starts for bar in part.bars)
        pickups += bool(part.bars[0].metre and part.bars[0].length < part.bars[0].metre.length)
    assert (num_bars, endings) == (4564, NUM_ENDINGS)
    assert pickups == NUM_PICKUPS


def test_the_chords_that_others_lose_and_incomplete_triplets_are_written_right() -> None:
    written = {path.stem: read_score(path).parts[0] for path in lead_sheets() if path.stem in KNOWN}
    for name, (index, text) in KNOWN.items():
        assert bar_notes(written[name].bars[index]) == text


KNOWN = {
    "Glen_MacDonough-Victor_Herbert__Toyland": (12, '"G7sus4"d4e2'),
    "Charles_N._Daniels-Richard_A._Whiting__She_s_Funny_That_Way": (4, '"Gm7b5"BcBc-"C7"c4'),
    "_Traditional____la_claire_fontaine": (10, '"F"F2"F7"FA"Dm"AG/F/"F5"AF'),
    "Frederic_Weatherly-Michael_Maybrick__The_Holy_City": (18, '"C"G2(3:2:2G2FG2c2'),
    "John_W._Bratton__The_Teddy_Bears_Picnic": (0, '"Cm"cze"CmMaj7"ded'),
}
