"""Units of a text packed into chunks: as many as fit, the last ones repeated in the next.

A chunk may begin early: at a border of the document (a heading, a rule), once it is worth the while. Units together may
have more tokens than each for itself, so every chunk is counted again, and parted where it has too many.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from outcrop.knowledge.chunking.text_units import TextUnit
from outcrop.knowledge.chunking.token_counts import TokenCounts

_COUNTED_TOGETHER = 512


class TextSpan(NamedTuple):
    """A chunk as characters of its document."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class PackingLimits:
    """How large chunks are, and where they may end early."""

    most_tokens: int
    overlap_tokens: int = 0
    "At most so many are repeated."
    borders: Collection[int] = ()
    "Characters at which a new chunk begins, if the one before has `least_tokens`."
    least_tokens: int = 0


def pack(text: str, units: Sequence[TextUnit], counts: TokenCounts, limits: PackingLimits) -> list[TextSpan]:
    """The chunks of a document, without the blanks around them; together they hold every other character."""
    groups = list(_groups(units, limits))
    found: list[TextSpan] = []
    for batch in (groups[at : at + _COUNTED_TOGETHER] for at in range(0, len(groups), _COUNTED_TOGETHER)):
        texts = [text[group[0].start : group[-1].end].strip() for group in batch]
        for group, number in zip(batch, counts(texts), strict=True):
            found += _fitting(text, group, number, counts, limits.most_tokens)
    return [span for span in found if span.end > span.start]


def _groups(units: Sequence[TextUnit], limits: PackingLimits) -> Iterator[Sequence[TextUnit]]:
    first = number = num_held = num_new = 0
    while number < len(units):
        unit = units[number]
        is_full = num_held + unit.num_tokens > limits.most_tokens
        at_border = unit.start in limits.borders and num_held >= limits.least_tokens
        if num_new and (is_full or at_border):
            yield units[first:number]
            first = _repeated(units, first, number, 0 if at_border else limits.overlap_tokens)
            num_held, num_new = sum(each.num_tokens for each in units[first:number]), 0
        while first < number and num_held + unit.num_tokens > limits.most_tokens:
            num_held -= units[first].num_tokens  # what is repeated leaves room for what is new
            first += 1
        num_held += unit.num_tokens
        num_new += 1
        number += 1
    if num_new:
        yield units[first:number]


def _repeated(units: Sequence[TextUnit], first: int, end: int, overlap: int) -> int:
    """The first unit of those before `end` that the next chunk repeats; never all of them."""
    start = end
    while start - 1 > first and overlap >= units[start - 1].num_tokens:
        start -= 1
        overlap -= units[start].num_tokens
    return start


def _fitting(
    text: str, group: Sequence[TextUnit], num_tokens: int, counts: TokenCounts, most: int
) -> Iterator[TextSpan]:
    start, end = group[0].start, group[-1].end
    if num_tokens <= most or len(group) == 1:
        yield _stripped(text, start, end)
        return
    half = len(group) // 2
    for part in (group[:half], group[half:]):
        (number,) = counts([text[part[0].start : part[-1].end].strip()])
        yield from _fitting(text, part, number, counts, most)


def _stripped(text: str, start: int, end: int) -> TextSpan:
    part = text[start:end]
    return TextSpan(start + len(part) - len(part.lstrip()), start + len(part.rstrip()))
