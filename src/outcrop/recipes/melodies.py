"""Melodies of score files, for the recipes of music: MusicXML, MXL and ABC, one melody at a time.

Of a score with several parts the melody is the part with most chord symbols, the first where none has any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.music.abc_files import AbcTune, tunes
from outcrop.music.musicxml import read_score
from outcrop.music.score import MusicScore, Note, Part
from outcrop.recipes.groups import JoinedGroups
from outcrop.recipes.recipe import Dropped, source_names

MUSICXML = (".mxl", ".musicxml", ".xml")
ABC = (".abc",)
SUFFIXES = (*MUSICXML, *ABC)
_BEGINNING = 16
"Notes by which a melody is known again in another key or file."
_FEWEST = 8
_HELD_BYTES = 2**20
_NAMELESS = ("", "untitled", "title", "score", "music")


@dataclass(frozen=True, kw_only=True)
class Melody:
    """A melody of a source, with the score around it and the tune that it belongs to."""

    part: Part
    score: MusicScore
    origin: str
    group: str = ""
    broken_bars: frozenset[int] = frozenset()
    "Indices of bars that could not be read whole."
    problem: str = ""
    "The first thing that could not be read."

    @property
    def fields(self) -> dict[str, object]:
        """Names that a user's template may use."""
        return {"title": self.score.title, "makers": list(self.score.makers), "part": self.part.name}


def melodies(sources: Sequence[Path], *, quote: str = '"') -> Iterator[Melody | Dropped]:
    """Every melody of the sources, and what of each score is not in it.

    Melodies with one title, or with the same beginning in any key, are of one group.
    """
    groups = JoinedGroups()
    # Groups are known when all tunes are. Small sources are held meanwhile, large ones read a second time.
    are_small = sum(path.stat().st_size for path in sources) <= _HELD_BYTES
    held = list(_found(sources, quote=quote)) if are_small else None
    for found in _found(sources, quote=quote) if held is None else held:
        if isinstance(found, Melody):
            groups.join(_keys(found))
    for found in _found(sources, quote=quote) if held is None else held:
        if isinstance(found, Melody):
            yield _grouped(found, groups)
            yield from _beside(found)
        else:
            yield found


def _grouped(melody: Melody, groups: JoinedGroups) -> Melody:
    return replace(melody, group=groups.name(_keys(melody)[0]))


def _found(sources: Sequence[Path], *, quote: str) -> Iterator[Melody | Dropped]:
    for path, name in source_names(sources).items():
        try:
            if path.suffix.lower() in ABC:
                yield from (_of_abc(tune, name) for tune in tunes(path, quote=quote))
            else:
                yield _of_score(read_score(path), name)
        except Invalid as wrong:
            yield Dropped(origin=name, reason="not a readable score", detail=wrong.message)


def _of_abc(tune: AbcTune, name: str) -> Melody | Dropped:
    origin = f"{name}:{tune.line}"
    part = tune.music.part
    if not _notes(part):
        return Dropped(origin=origin, reason="no notes")
    problems = tune.music.problems
    return Melody(
        part=part,
        score=tune.score,
        origin=origin,
        broken_bars=tune.music.broken_bars,
        problem=f"bar {problems[0].bar + 1}: {problems[0].what}" if problems else "",
    )


def _of_score(score: MusicScore, name: str) -> Melody | Dropped:
    part = max(score.parts, key=lambda part: (_num_chords(part), bool(_notes(part))))
    if not _notes(part):
        return Dropped(origin=name, reason="no notes")
    return Melody(part=part, score=score, origin=name)


def _num_chords(part: Part) -> int:
    return sum(len(bar.chords) for bar in part.bars)


def _notes(part: Part) -> list[Note]:
    return list(islice((note for bar in part.bars for note in bar.notes if note.pitches), _BEGINNING))


def _keys(melody: Melody) -> list[str]:
    """Keys by which two melodies are one tune: the title, and the beginning as intervals and lengths."""
    title = " ".join(melody.score.title.casefold().split())
    keys = [melody.origin] if title in _NAMELESS else [f"title {title}"]
    notes = _notes(melody.part)
    if len(notes) >= _FEWEST:
        first = notes[0].pitches[0].midi
        keys.append("notes " + " ".join(f"{note.pitches[0].midi - first}:{note.length}" for note in notes))
    return keys


def _beside(melody: Melody) -> Iterator[Dropped]:
    """Items left out for whatever the score holds beyond its melody, one a kind."""
    for part in melody.score.parts:
        if part is not melody.part:
            yield Dropped(origin=melody.origin, reason="a further part: a melody is one line", detail=part.name)
    for kind, number in melody.part.left_out.items():
        yield Dropped(origin=melody.origin, reason=f"{kind}: not in the line of a melody", detail=f"{number:,}")
