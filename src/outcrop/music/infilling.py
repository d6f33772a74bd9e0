"""Prompts for bars to be filled in: written, and taken apart again.

The article writes `|chord 1|chord 2|,|bar 1|,|chord 3|,|bar 3|` and expects `|bar 2|`; a window of N bars has N - 1
chords before the first comma.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.errors import Invalid

ARTICLE, VARIANT = " ", ","
"What parts several chords of one bar: in the article's form, in the published variant."
_PROMPT = re.compile(r"\|(?P<chords>.+)\|,\|(?P<first>[^|]*)\|,\|(?P<last_chords>[^|]*)\|,\|(?P<last>[^|]*)\|")


@dataclass(frozen=True, kw_only=True)
class InfillPrompt:
    """A gap between two bars: the chords of the whole window, and the notes around the gap."""

    chords: tuple[tuple[str, ...], ...]
    "Of each bar, the gap's among them, those that sound in it."
    first: str
    last: str

    @property
    def chords_of_gap(self) -> tuple[tuple[str, ...], ...]:
        """The chords of the bars that are asked for."""
        return self.chords[1:-1]

    def text(self, between: str = ARTICLE) -> str:
        """The prompt as a record holds it."""
        cells = [between.join(chords) for chords in self.chords]
        return f"|{'|'.join(cells[:-1])}|,|{self.first}|,|{cells[-1]}|,|{self.last}|"


def completion(bars: Sequence[str]) -> str:
    """The bars of a gap as a record's completion holds them."""
    return f"|{'|'.join(bars)}|"


def parse_prompt(text: str) -> InfillPrompt:
    """The gap that a prompt describes, in either form. Raises Invalid where it describes none."""
    found = _PROMPT.fullmatch(text.strip())
    if not found:
        raise Invalid(f"'{text[:60]}' is no prompt for infilling. Write |chord 1|chord 2|,|bar 1|,|chord 3|,|bar 3|.")
    cells = [*found["chords"].split("|"), found["last_chords"]]
    chords = tuple(tuple(re.split(r"[,\s]+", cell.strip())) for cell in cells)
    return InfillPrompt(chords=chords, first=found["first"], last=found["last"])
