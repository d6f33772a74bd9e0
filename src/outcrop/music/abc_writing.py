"""A melody written as ABC 2.1, all bars on one line, with or without its chord symbols.

Two styles: standard ABC, whose key, metre and unit stand in fields on the same line, so that any program reads it when
`X:1` and `K:C` stand before; and the form of the Gen Parker article, bare notes whose accidentals are all written out
against C major, and chords in single quotes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from outcrop.music.abc_notes import Accidentals, graces_text, note_text, tuplet_starts
from outcrop.music.keys import C_MAJOR, MODES, Key, Pitch, Transposition
from outcrop.music.score import DOUBLE, FINAL, PLAIN, Bar, Metre, MusicScore, Note, Part, PlacedChord

_MODE_NAMES = {"major": "", "ionian": "", "minor": "m", "aeolian": "m"} | {
    mode: mode[:3] for mode in MODES if mode not in ("major", "ionian", "minor", "aeolian")
}
_LINES = {PLAIN: "|", DOUBLE: "||", FINAL: "|]"}


@dataclass(frozen=True, kw_only=True)
class AbcStyle:
    """How ABC is written: with chords or without, and with fields or bare."""

    chords: bool = True
    quote: str = '"'
    fields: bool = True
    "Key, metre and unit length in the text; without them every accidental is written out, as in C major."


STANDARD = AbcStyle()
ARTICLE = AbcStyle(quote="'", fields=False)


def tune(part: Part, score: MusicScore, *, style: AbcStyle = STANDARD, number: int = 1) -> str:
    """A whole tune for a file of ABC: header lines, then the melody on one line."""
    first = part.bars[0]
    makers = "".join(f"C:{_field(maker)}\n" for maker in score.makers)
    head = f"X:{number}\nT:{_field(score.title)}\n{makers}M:{_metre(first.metre)}\nL:1/8\nK:{key_name(first.key)}\n"
    return head + _line(part.bars, style, told=first) + "\n"


def melody(part: Part, style: AbcStyle = STANDARD) -> str:
    """The melody on one line; its fields, where the style has them, stand at its beginning."""
    if not style.fields:
        return _line([replace(bar, key=C_MAJOR, metre=None) for bar in part.bars], style, told=None)
    first = part.bars[0]
    fields = f"[M:{_metre(first.metre)}][L:1/8][K:{key_name(first.key)}]"
    return fields + _line(part.bars, style, told=first)


def bar_notes(bar: Bar, before: Bar | None = None, *, style: AbcStyle = STANDARD) -> str:
    """The notes of one bar without bar lines; `before` tells which of them are tied from the bar before."""
    held = _held_by(before.notes) if before else frozenset()
    return "".join(_bar_texts(bar, Accidentals(bar.key), held, style))


def key_name(key: Key) -> str:
    """A key as ABC names it: G, Em, Ddor."""
    return f"{key.tonic}{_MODE_NAMES[key.mode]}"


def transposed(part: Part, by: Transposition) -> Part:
    """The part moved to another key, chords and all."""
    return replace(part, bars=tuple(_bar_moved(bar, by) for bar in part.bars))


def _bar_moved(bar: Bar, by: Transposition) -> Bar:
    return replace(
        bar,
        notes=tuple(_note_moved(note, by) for note in bar.notes),
        chords=tuple(PlacedChord(at, symbol.transposed(by)) for at, symbol in bar.chords),
        key=by.of_key(bar.key),
    )


def _note_moved(note: Note, by: Transposition) -> Note:
    return replace(
        note,
        pitches=tuple(by.of_pitch(pitch) for pitch in note.pitches),
        tied=tuple(by.of_pitch(pitch) for pitch in note.tied),
        graces=tuple(_note_moved(grace, by) for grace in note.graces),
    )


def _line(bars: Sequence[Bar], style: AbcStyle, *, told: Bar | None) -> str:
    """All bars with their lines. `told` is the bar whose key and metre the text before has told; None: none are."""
    texts = [_left(None, bars[0])]
    held: frozenset[Pitch] = frozenset()
    for index, bar in enumerate(bars):
        if told is not None:
            texts += _changes(told, bar)
            told = bar
        texts += _bar_texts(bar, Accidentals(bar.key), held, style)
        held = _held_by(bar.notes)
        texts.append(_left(bar, bars[index + 1]) if index + 1 < len(bars) else _right(bar))
    return "".join(texts)


def _changes(told: Bar, bar: Bar) -> Iterator[str]:
    if bar.metre != told.metre:
        yield f"[M:{_metre(bar.metre)}]"
    if bar.key != told.key:
        yield f"[K:{key_name(bar.key)}]"


def _bar_texts(bar: Bar, accidentals: Accidentals, held: frozenset[Pitch], style: AbcStyle) -> Iterator[str]:
    chords = list(bar.chords) if style.chords else []
    starts = tuplet_starts(bar.notes)
    end = Fraction(0)
    for index, note in enumerate(bar.notes):
        end += note.length
        # A chord that begins while a note is held has no place of its own in ABC: it stands before that note.
        last = index + 1 == len(bar.notes)
        while chords and (chords[0].at < end or last):
            yield f"{style.quote}{_quoted(str(chords.pop(0).symbol), style)}{style.quote}"
        yield starts.get(index, "")
        yield graces_text(note.graces, accidentals)
        yield note_text(note, accidentals, held)
        held = frozenset(note.tied)
    for chord in chords:  # of a bar without notes
        yield f"{style.quote}{_quoted(str(chord.symbol), style)}{style.quote}"


def _quoted(text: str, style: AbcStyle) -> str:
    return text.replace(style.quote, "")


def _held_by(notes: Sequence[Note]) -> frozenset[Pitch]:
    return frozenset(notes[-1].tied) if notes else frozenset()


def _left(before: Bar | None, after: Bar) -> str:
    """The bar line between two bars, with the repeats and endings that meet there."""
    line = ""
    if before is not None:
        closes = before.ending and not after.ending
        line = ":|" if before.repeat_end else "||" if closes and before.line == PLAIN else _LINES[before.line]
    if after.repeat_start:
        line = {":|": "::", "|": "|:"}.get(line, f"{line}|:")
    if after.ending_starts:
        line += f"[{','.join(map(str, after.ending))}"
    return line


def _right(last: Bar) -> str:
    return ":|" if last.repeat_end else _LINES[last.line]


def _metre(metre: Metre | None) -> str:
    return str(metre) if metre else "none"


def _field(text: str) -> str:
    return " ".join(text.split()).replace("%", "\\%")
