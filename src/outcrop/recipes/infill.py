"""The recipe `infill`: melodies → the bars around a gap and all chords as prompt, the gap as completion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.music.abc_writing import AbcStyle, bar_notes
from outcrop.music.infilling import ARTICLE, VARIANT, InfillPrompt, completion
from outcrop.music.keys import C_MAJOR
from outcrop.music.playing import PlayedBar, fills, played, usual_length
from outcrop.music.score import Part
from outcrop.recipes.melodies import Melody, melodies
from outcrop.recipes.musicxml import in_keys
from outcrop.recipes.recipe import Dropped, Item, Kept

BARS = AbcStyle(chords=False, fields=False)
BETWEEN_CHORDS = {"article": ARTICLE, "variant": VARIANT}
LEAST_WINDOW, MOST_WINDOW = 3, 64


@dataclass(frozen=True, kw_only=True)
class ChordedBar:
    """A bar as a window shows it: its notes, and the chords that sound in it."""

    notes: str
    chords: tuple[str, ...]
    played: PlayedBar
    problem: str
    "Why no window may hold it; empty for a good bar."


def infill(
    sources: Sequence[Path], *, window: int = LEAST_WINDOW, form: str = "article", all_keys: bool = False
) -> Iterator[Item]:
    """Melodies with chords → prompt/completion records that ask for the bars between two bars, given all chords.

    Source: MusicXML, MXL and ABC. Licence: that of each score and of its edition.
    Rule, of the Gen Parker article: prompt = `|chord 1|chord 2|,|bar 1|,|chord 3|,|bar 3|`, completion = `|bar 2|`, for
    every three bars that follow each other as played. A window of N asks for the N - 2 bars in the middle. A bar
    without a chord symbol has the last one before it; several chords of a bar are parted by a space in the article's
    form, by a comma in the published variant (`--form variant`). Notes are ABC with L:1/8, every accidental written
    out. Parts of a bar cut by a repeat sign are one bar. Left out: windows with a bar that does not fill its metre, or
    before the first chord.
    """
    if not LEAST_WINDOW <= window <= MOST_WINDOW:
        raise Invalid(f"--window {window}: not within {LEAST_WINDOW} to {MOST_WINDOW} bars. The article's is 3.")
    for found in melodies(sources):
        if isinstance(found, Dropped):
            yield found
        elif not any(bar.chords for bar in found.part.bars):
            yield Dropped(origin=found.origin, reason="no chord symbols")
        else:
            for part in in_keys(found.part, all_keys=all_keys):
                yield from _windows(found, part, window, BETWEEN_CHORDS[form])


def _windows(found: Melody, part: Part, window: int, between: str) -> Iterator[Item]:
    bars = _chorded(part, found.broken_bars)
    if len(bars) < window:
        yield Dropped(origin=found.origin, reason=f"fewer bars than {window}", detail=f"{len(bars)}")
    seen = set()
    for first in range(len(bars) - window + 1):
        shown = bars[first : first + window]
        place = tuple((bar.played.written, bar.chords) for bar in shown)
        if place in seen:  # The same bars again, in a repeat.
            continue
        seen.add(place)
        origin = f"{found.origin}, bar {shown[0].played.bar.number}"
        problem = next((bar.problem for bar in shown if bar.problem), "")
        if problem:
            yield Dropped(origin=origin, reason=problem)
        else:
            yield Kept(record=_record(shown, between), group=found.group, origin=origin, fields=found.fields)


def _record(shown: Sequence[ChordedBar], between: str) -> dict[str, str]:
    first, *middle, last = (bar.notes for bar in shown)
    prompt = InfillPrompt(chords=tuple(bar.chords for bar in shown), first=first, last=last)
    return {"prompt": prompt.text(between), "completion": completion(middle)}


def _chorded(part: Part, broken: frozenset[int]) -> list[ChordedBar]:
    """The bars as played, each with the chords that sound in it."""
    full = usual_length(part.bars)
    chorded: list[ChordedBar] = []
    sounding: tuple[str, ...] = ()
    before: PlayedBar | None = None
    for each in played(part.bars, full=full):
        written = [(chord.at, str(chord.symbol)) for chord in each.bar.chords]
        carried = sounding if not written or written[0][0] > 0 else ()
        chords = _without_repetition([*carried, *(text for _, text in written)])
        bar = replace(each.bar, key=C_MAJOR)
        problem = ""
        if not chords:
            problem = "a bar before the first chord symbol"
        elif broken.intersection(each.written):
            problem = "a bar that cannot be read"
        elif not fills(each.bar, full=full):
            problem = "a bar that does not fill its metre"
        notes = bar_notes(bar, before.bar if before else None, style=BARS)
        chorded.append(ChordedBar(notes=notes, chords=chords, played=each, problem=problem))
        sounding, before = chords[-1:], each
    return chorded


def _without_repetition(chords: Sequence[str]) -> tuple[str, ...]:
    return tuple(chord for index, chord in enumerate(chords) if not index or chord != chords[index - 1])
