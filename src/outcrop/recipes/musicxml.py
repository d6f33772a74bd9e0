"""The recipe `musicxml`: scores → ABC, a melody a line, for continued pre-training."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from outcrop.music.abc_writing import ARTICLE, STANDARD, AbcStyle, key_name, melody, transposed
from outcrop.music.keys import transpositions
from outcrop.music.score import Part
from outcrop.recipes.melodies import Melody, melodies
from outcrop.recipes.recipe import Dropped, Item, Kept

FORMS = {"abc": STANDARD, "article": ARTICLE}
CHORDS = {"both": (True, False), "with": (True,), "without": (False,)}


def musicxml(
    sources: Sequence[Path], *, form: str = "abc", chords: str = "both", all_keys: bool = False
) -> Iterator[Item]:
    """Scores → {"input"} records of ABC, one melody each, with its chord symbols and again without.

    Source: MusicXML (.musicxml, .xml), MXL (.mxl) and ABC (.abc). Licence: that of each score and of its edition.
    Rule: the first voice of the part with most chord symbols, all bars on one line; a chord symbol stands in quotes
    before the note on which it sounds. The form `abc` is ABC 2.1, with metre, unit and key in fields at the line's
    beginning; `article` is Gen Parker's: no fields, every accidental written out, L:1/8, chords in single quotes.
    `--all-keys` adds the eleven other keys. All records of one tune stay in one file. Left out and named: further
    parts and voices, lyrics, dynamics, slurs and whatever else a melody's line does not hold.
    """
    for found in melodies(sources):
        if isinstance(found, Dropped):
            yield found
        elif found.problem:
            yield Dropped(origin=found.origin, reason="a bar that cannot be read", detail=found.problem)
        else:
            yield from _records(found, FORMS[form], CHORDS[chords], all_keys=all_keys)


def _records(found: Melody, style: AbcStyle, chords: Sequence[bool], *, all_keys: bool) -> Iterator[Item]:
    has_chords = any(bar.chords for bar in found.part.bars)
    if not has_chords and False not in chords:
        yield Dropped(origin=found.origin, reason="no chord symbols")
        return
    for part in in_keys(found.part, all_keys=all_keys):
        for with_chords in chords:
            if has_chords or not with_chords:
                key = key_name(part.bars[0].key)
                yield Kept(
                    record={"input": melody(part, replace(style, chords=with_chords))},
                    group=found.group,
                    origin=found.origin,
                    fields={**found.fields, "key": key, "chords": with_chords},
                )


def in_keys(part: Part, *, all_keys: bool) -> Iterator[Part]:
    """The part as it is, then, where asked for, in the eleven other keys."""
    moves = transpositions(part.bars[0].key)
    for move in moves if all_keys else moves[:1]:
        yield transposed(part, move) if move.semitones else part
