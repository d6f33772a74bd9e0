"""The example of music: tunes dealt once for all jobs, answers read as they come, numbers that real lines bear out."""

import importlib
import json
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outcrop.music.abc_reading import read_music
from outcrop.music.score import Metre

EXAMPLE = Path(__file__).parents[2] / "examples" / "gen_parker"
CHORDS = ("C", "F", "G7", "Am")
ARPEGGIOS = {"C": "CEGc", "F": "FAcf", "G7": "GBdf", "Am": "Acea"}
RHYTHMS = [lengths for lengths in product(range(1, 6), repeat=4) if sum(lengths) == 8]


def tune(number: int) -> str:
    """Eight bars of chord tones, in a rhythm that no other tune has."""
    rhythm = RHYTHMS[number]
    bars = []
    for bar in range(8):
        chord = CHORDS[(number + bar * (1 + number % 3)) % 4]
        tones = ARPEGGIOS[chord]
        turned = tones[(number + bar) % 4 :] + tones[: (number + bar) % 4]
        notes = "".join(f"{tone}{length}" for tone, length in zip(turned, rhythm, strict=True))
        bars.append(f'"{chord}"{notes}')
    return f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:C\n{'|'.join(bars)}|]\n"


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scores") / "tunes.abc"
    path.write_text("\n".join(tune(number) for number in range(12)))
    return path


@pytest.fixture(scope="module")
def example() -> Any:
    """The modules of the example; it is no installed package, so its folder is put on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://localhost")
        patch.syspath_prepend(EXAMPLE)
        names = ("tune_files", "line_measures", "findings", "gap_bakeoff", "sheets", "gen_parker")
        yield {name: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def files(example: dict[str, Any], scores: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    amounts = example["tune_files"].Amounts(tunes=10, gaps=20, questions=4, seed=0)
    return example["tune_files"].write_files([scores], tmp_path_factory.mktemp("data"), amounts)


def records(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_tune_held_out_of_one_job_is_held_out_of_all(files: Any) -> None:
    assert files.tunes == {"train": 8, "validation": 1, "test": 1}
    test_bars = bars_of(files.path("test-without-chords"))
    assert test_bars.isdisjoint(bars_of(files.path("tunes-train")))
    answers = [record["completion"].strip("|") for record in records(files.path("test-gaps"))]
    assert set(answers) <= test_bars
    learned = [record["completion"].strip("|") for record in records(files.path("gaps-train"))]
    assert set(learned) <= bars_of(files.path("tunes-train"))


def bars_of(path: Path) -> set[str]:
    """Runs of notes between bar lines, without fields and chords."""
    texts = (record["input"].split("]", 3)[-1] for record in records(path))
    return {bar.strip("|]") for text in texts if '"' not in text for bar in text.split("|")} - {""}


def test_equal_arguments_give_equal_files(example: dict[str, Any], scores: Path, files: Any, tmp_path: Path) -> None:
    again = example["tune_files"].write_files(
        [scores], tmp_path, example["tune_files"].Amounts(tunes=10, gaps=20, questions=4, seed=0)
    )
    for path in files.folder.iterdir():
        assert path.read_bytes() == again.path(path.stem).read_bytes()
    assert (again.gaps, again.openings, again.notes) == (files.gaps, files.openings, files.notes)


def test_an_opening_is_four_bars_and_what_follows_is_the_rest(files: Any, example: dict[str, Any]) -> None:
    (opening,) = files.openings
    assert len(read_music(opening.prompt).part.bars) == 4
    assert opening.prompt + example["line_measures"].real_continuation(opening) == opening.real


def test_real_bars_fill_their_metre_with_chord_tones_beyond_chance(files: Any, example: dict[str, Any]) -> None:
    measures = example["line_measures"]
    known = measures.known(files.train_bars)
    real = measures.score_gaps(files.gaps, [gap.real for gap in files.gaps], known)
    assert (real.full, real.chords.beats) == ((4, 4), (16, 16))
    assert real.chords.shuffled_chance < 0.9
    lines = measures.score_lines(files.openings, [measures.real_continuation(o) for o in files.openings], known)
    assert (lines.full, lines.chords.beats.share) == ((4, 4), 1.0)


@pytest.mark.parametrize(
    ("answer", "full"),
    [("|C2D2E2F2|", 1), ("C2D2E2F2", 1), ("|C2D2|", 0), ("", 0), ("What is it?", 0), ("|C2D2E2F2|G8|\nmore", 1)],
)
def test_answers_are_read_as_they_come(files: Any, example: dict[str, Any], answer: str, full: int) -> None:
    measures = example["line_measures"]
    gap = files.gaps[0]
    assert gap.metre == Metre(4, 4)
    assert measures.score_gaps([gap], [answer], measures.known([])).full == (full, 1)


def test_copies_are_found_in_the_prompt_and_in_the_training_tunes(files: Any, example: dict[str, Any]) -> None:
    measures, gap = example["line_measures"], files.gaps[0]
    learned = records(files.path("gaps-train"))[0]["completion"]
    known = measures.known(files.train_bars)
    from_prompt = measures.score_gaps([gap], [f"|{gap.around.first}|"], known)
    assert from_prompt.copied_from_prompt == (1, 1)
    assert measures.score_gaps([gap], [learned], known).copied_from_training == (1, 1)


def test_gaps_of_a_score_that_is_shown_are_spread_over_it(example: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "one.abc"
    path.write_text(tune(3))
    gaps = example["tune_files"].gaps_in(path, 2)
    assert len({gap.prompt for gap in gaps}) == 2
    assert {gap.metre for gap in gaps} == {Metre(4, 4)}
    # Where there are fewer, all of them
    assert {gap.prompt for gap in gaps} < {gap.prompt for gap in example["tune_files"].gaps_in(path, 100)}


def test_sheets_are_music_and_sound(files: Any, example: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("verovio", reason="engraving needs verovio")
    gap = files.gaps[0]
    assert example["sheets"].write_sheets(gap, {"real": gap.real, "base": "What?"}, tmp_path, "gap-1") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"gap-1-{model}.{kind}" for model in ("base", "real") for kind in ("mid", "svg")
    ]
    assert (tmp_path / "gap-1-real.mid").read_bytes().startswith(b"MThd")
    assert "<svg" in (tmp_path / "gap-1-real.svg").read_text()


def test_bits_per_note_are_of_the_model_and_of_what_it_began_with(files: Any, example: dict[str, Any]) -> None:
    program = example["gen_parker"]
    options = program.parse_options(["--scores", "x"])
    findings, notes = program.Findings(), files.notes["test-gaps"]
    result = {"file": "test-gaps.jsonl", "base": {"loss": 2.0, "tokens": 10}, "custom": {"loss": 1.0, "tokens": 10}}
    program.note_bits(findings, "cpt-ft", program.trainings(options)["cpt-ft"], [result], files)
    assert findings.bits["cpt-ft"]["test-gaps"] == pytest.approx(10 / 0.6931472 / notes)
    assert findings.bits["cpt"]["test-gaps"] == pytest.approx(20 / 0.6931472 / notes)
    # what a network makes of its random weights is no model's merit
    zero = {
        "file": "test-with-chords.jsonl",
        "base": {"loss": 9.0, "tokens": 10},
        "custom": {"loss": 1.0, "tokens": 10},
    }
    program.note_bits(findings, "zero", program.trainings(options)["zero"], [zero], files)
    assert findings.bits["base"] == {}


@pytest.mark.parametrize(
    ("models", "message"),
    [("cpt-ft", "--models: cpt-ft needs cpt."), ("lora", "--models: lora is none of cpt, ft, cpt-ft, zero, zero-ft.")],
)
def test_models_that_cannot_be_trained_alone_are_told(example: dict[str, Any], models: str, message: str) -> None:
    program: ModuleType = example["gen_parker"]
    with pytest.raises(SystemExit) as ended:
        program.wanted(program.parse_options(["--scores", "x", "--models", models]))
    assert str(ended.value) == message
