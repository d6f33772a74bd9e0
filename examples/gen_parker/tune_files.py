"""Scores made into the files of the jobs: tunes to read, gaps to fill in, and tunes that no job has seen.

The recipes `musicxml` and `infill` of `outcrop data` do the reading. Here tunes are dealt to training, validation and
test once for both of them, so that a tune held out from one job is held out from all.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

from outcrop.music.abc_reading import read_music
from outcrop.music.infilling import InfillPrompt, parse_prompt
from outcrop.music.measures import num_notes
from outcrop.music.score import Bar, Metre
from outcrop.recipes.infill import infill
from outcrop.recipes.musicxml import musicxml
from outcrop.recipes.recipe import Kept

Division = Literal["train", "validation", "test"]
DIVISIONS: tuple[Division, ...] = ("train", "validation", "test")
_OPENING_BARS = 4


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """The number of tunes, of gaps to learn from, and of questions."""

    tunes: int
    gaps: int
    questions: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A question of bar infilling, and the bars that really stand there."""

    prompt: str
    real: str
    metre: Metre

    @property
    def around(self) -> InfillPrompt:
        """The bars and chords that the prompt tells."""
        return parse_prompt(self.prompt)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The first bars of a tune, with chords, and the whole tune."""

    prompt: str
    real: str


@dataclass(frozen=True, kw_only=True)
class TuneFiles:
    """The files of all jobs, and what the models are asked and held against."""

    folder: Path
    gaps: Sequence[Gap]
    openings: Sequence[Opening]
    notes: dict[str, int]
    "Notes that are to be predicted in each test file."
    train_bars: Sequence[Sequence[Bar]]
    "Of each training tune."
    tunes: dict[Division, int]

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"


def write_files(scores: Sequence[Path], folder: Path, amounts: Amounts) -> TuneFiles:
    """Read the scores, write the files, and choose the questions; equal arguments give equal files."""
    melodies = [item for item in musicxml(scores, chords="both") if isinstance(item, Kept)]
    windows = [item for item in infill(scores) if isinstance(item, Kept)]
    division = _divided({item.group for item in windows}, amounts)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: [item for item in melodies if division.get(item.group) == name] for name in DIVISIONS}
    cut = {name: _in_order(item for item in windows if division.get(item.group) == name) for name in DIVISIONS}
    with_chords, without = (
        [item for item in whole["test"] if item.fields["chords"] is chords] for chords in (True, False)
    )
    held_out = _from_each_tune(cut["test"], amounts.questions)
    files = {
        "tunes-train": whole["train"],
        "tunes-validation": whole["validation"],
        "test-with-chords": with_chords,
        "test-without-chords": without,
        "gaps-train": _from_each_tune(cut["train"], amounts.gaps),
        "gaps-validation": _from_each_tune(cut["validation"], max(8, amounts.gaps // 10)),
        "test-gaps": held_out,
    }
    for name, items in files.items():
        _write(folder / f"{name}.jsonl", items)
    metres = {_tune_of(item): _first_metre(item.record["input"]) for item in melodies}
    texts = {name: [item.record.get("input") or item.record["completion"] for item in files[name]] for name in files}
    return TuneFiles(
        folder=folder,
        gaps=[_gap(item, metres[_tune_of(item)]) for item in held_out],
        openings=[opening for item in with_chords if (opening := _opening(item.record["input"]))],
        notes={name: sum(num_notes(read_music(text).part.bars) for text in texts[name]) for name in _TESTS},
        train_bars=[read_music(item.record["input"]).part.bars for item in whole["train"] if item.fields["chords"]],
        tunes={name: len({item.group for item in whole[name]}) for name in DIVISIONS},
    )


def gaps_in(score: Path, most: int) -> list[Gap]:
    """Gaps of one score, evenly spread over it."""
    found = [item for item in infill([score]) if isinstance(item, Kept)]
    metre = next((_first_metre(i.record["input"]) for i in musicxml([score]) if isinstance(i, Kept)), None)
    chosen = [found[len(found) * part // most] for part in range(most)] if len(found) >= most else found
    return [_gap(item, metre) for item in chosen]


_TESTS = ("test-with-chords", "test-without-chords", "test-gaps")


def _divided(groups: Iterable[str], amounts: Amounts) -> dict[str, Division]:
    """A tenth of the tunes for validation and a tenth for test, at least one each, the rest for training."""
    chosen = sorted(groups, key=lambda group: _drawn(f"{amounts.seed} {group}"))[: amounts.tunes]
    if len(chosen) < len(DIVISIONS):
        raise SystemExit(f"{len(chosen)} tunes with chord symbols: too few to divide. Name more scores.")
    tenth = max(1, len(chosen) // 10)
    divisions: dict[str, Division] = dict.fromkeys(chosen, "train")
    divisions |= dict.fromkeys(chosen[tenth : 2 * tenth], "validation")
    return divisions | dict.fromkeys(chosen[:tenth], "test")


def _in_order(items: Iterable[Kept]) -> list[Kept]:
    """An order that has nothing to do with the places of the bars in their tunes."""
    return sorted(items, key=lambda item: _drawn(json.dumps(item.record)))


def _from_each_tune(items: Sequence[Kept], most: int) -> list[Kept]:
    """One window of each tune after the other, until there are enough."""
    of_tune: dict[str, list[Kept]] = {}
    for item in items:
        of_tune.setdefault(item.group, []).append(item)
    turns = max(map(len, of_tune.values()), default=0)
    dealt = (each[turn] for turn in range(turns) for each in of_tune.values() if turn < len(each))
    return [item for item, _ in zip(dealt, range(most), strict=False)]


def _drawn(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _write(path: Path, items: Sequence[Kept]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(item.record), ensure_ascii=False) + "\n" for item in items)


def _tune_of(item: Kept) -> str:
    """The place of the tune in its source: windows name a bar behind it."""
    return item.origin.split(", bar ")[0]


def _first_metre(text: str) -> Metre | None:
    return next((bar.metre for bar in read_music(text).part.bars), None)


def _gap(item: Kept, metre: Metre | None) -> Gap:
    """The question, in the metre of its tune, or, where that changes, in one of the real bar's length."""
    real = item.record["completion"]
    (bar,) = read_music(real).part.bars
    if metre is None or metre.length != bar.length:
        metre = Metre(int(bar.length * 16), 16) if (bar.length * 16).denominator == 1 else Metre(4, 4)
    return Gap(prompt=item.record["prompt"], real=real, metre=metre)


def _opening(text: str) -> Opening | None:
    """The text up to the bar line behind the first bars; None for a tune that is no longer."""
    ends = list(islice(_bar_ends(text), _OPENING_BARS + 1))
    if len(ends) <= _OPENING_BARS:
        return None
    return Opening(prompt=text[: ends[_OPENING_BARS - 1]], real=text)


def _bar_ends(text: str) -> Iterator[int]:
    """Where a text may end so that it has one whole bar more."""
    num_bars = 0
    for end, letter in enumerate(text, start=1):
        if letter not in "|:" or text[end : end + 1] in ("|", ":", "]"):
            continue
        music = read_music(text[:end])
        full = sum(bar.length > Fraction(0) for bar in music.part.bars)
        if not music.is_open and full > num_bars:
            num_bars = full
            yield end
