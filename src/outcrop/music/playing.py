"""Bars in the order of playing: repeats and endings unrolled, bars cut by a repeat sign made whole.

Only repeat signs and endings are followed; da capo and segno are words, and stay where they are.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from outcrop.music.score import Bar, Metre, PlacedChord

MOST_PASSES = 9
"A passage is played so often at most, whatever its source says."


def playing_order(bars: Sequence[Bar]) -> Iterator[int]:
    """Indices of the bars as they are played."""
    index = start = 0
    turn = 1
    while index < len(bars):
        bar = bars[index]
        before = bars[index - 1] if index else None
        if (bar.repeat_start or (before and before.ending and not bar.ending)) and index != start:
            start, turn = index, 1
        if bar.ending and turn not in bar.ending and _is_elsewhere(bars, index, turn):
            index += 1
            continue
        yield index
        if bar.repeat_end and turn < _turns(bars, index):
            turn += 1
            index = start
            continue
        if bar.repeat_end and not (index + 1 < len(bars) and bars[index + 1].ending):
            start, turn = index + 1, 1
        index += 1


def _endings_from(bars: Sequence[Bar], index: int, step: int) -> Iterator[Bar]:
    while 0 <= index < len(bars) and bars[index].ending:
        yield bars[index]
        index += step


def _is_elsewhere(bars: Sequence[Bar], index: int, turn: int) -> bool:
    """Whether another ending beside this bar is the one for the turn; one that nobody wrote cannot be waited for."""
    return any(turn in bar.ending for bar in _endings_from(bars, index, 1))


def _turns(bars: Sequence[Bar], index: int) -> int:
    """How often the passage that ends with a bar is played: by its sign, and by the endings behind it."""
    endings = [number for bar in _endings_from(bars, index + 1, 1) for number in bar.ending]
    own = bars[index].ending
    behind = [number for number in endings if number > max(own, default=0)]
    return min(max([bars[index].repeat_end if not own or not behind else 0, *behind, *own]), MOST_PASSES)


@dataclass(frozen=True, kw_only=True)
class PlayedBar:
    """A bar as it is played, and the indices of the written bars that it is made of."""

    bar: Bar
    written: tuple[int, ...]


def played(bars: Sequence[Bar], *, full: Fraction | None = None) -> list[PlayedBar]:
    """The bars as played; two parts of one bar, cut by a repeat sign, are one.

    `full` is the length of a full bar where no metre is written.
    """
    whole: list[PlayedBar] = []
    for index in playing_order(bars):
        bar = bars[index]
        length = bar.metre.length if bar.metre else full
        last = whole[-1] if whole else None
        if last and last.bar.length > 0 and bar.length and last.bar.length + bar.length == length:
            whole[-1] = PlayedBar(bar=_joined(last.bar, bar), written=(*last.written, index))
        else:
            whole.append(PlayedBar(bar=bar, written=(index,)))
    return whole


def _joined(first: Bar, second: Bar) -> Bar:
    moved = tuple(PlacedChord(at + first.length, symbol) for at, symbol in second.chords)
    return replace(second, number=first.number, notes=first.notes + second.notes, chords=first.chords + moved)


def usual_length(bars: Sequence[Bar]) -> Fraction | None:
    """The length that most bars have, for music without a written metre; None for no bars."""
    lengths = Counter(bar.length for bar in bars)
    return lengths.most_common(1)[0][0] if lengths else None


def fills(bar: Bar, *, full: Fraction | None = None) -> bool:
    """Whether a bar's notes fill its metre, or, where none is written, the length given."""
    metre: Metre | None = bar.metre
    return bar.length == (metre.length if metre else full)
