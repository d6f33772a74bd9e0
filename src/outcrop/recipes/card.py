"""The card of a recipe's output: a README that tells what was done, from what, and what was left out.

It holds no time and no path, so that the same run gives the same bytes anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from outcrop.recipes.output_folder import LEFT_OUT, MARK
from outcrop.recipes.recipe import RecipeRun

_MOST_ROWS = 200


class SourceFile(NamedTuple):
    """A file that a recipe read."""

    name: str
    size_bytes: int
    sha256: str


class OutputFile(NamedTuple):
    """A file that was written, with its records and the groups that they are of."""

    name: str
    num_records: int
    num_groups: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """A run of a recipe, counted: num_in = num_kept + num_left_out."""

    run: RecipeRun
    seed: int
    split: str
    sources: Sequence[SourceFile]
    files: Sequence[OutputFile]
    "Those with records, then the list of what was left out."
    reasons: Mapping[str, int]
    "How many items were left out for each reason, the most frequent first."
    notes: Mapping[str, int] = field(default_factory=dict)
    "What is to be known of some records, and of how many."
    licence_files: Sequence[str] = ()
    "Files beside the sources that may tell their licence."

    @property
    def num_left_out(self) -> int:
        return sum(self.reasons.values())

    @property
    def num_kept(self) -> int:
        return sum(file.num_records for file in self.files if file.name != LEFT_OUT)

    @property
    def num_in(self) -> int:
        return self.num_kept + self.num_left_out

    def to_text(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def _lines(card: Card) -> Iterator[str]:
    yield MARK
    yield f"# Records by the recipe `{card.run.recipe}`\n"
    yield card.run.rule.strip()
    yield f"\n{card.num_in:,} items read = {card.num_kept:,} kept + {card.num_left_out:,} left out.\n"
    yield from _table(
        ("file", "records", "groups", "bytes", "SHA-256"),
        [
            (each.name, f"{each.num_records:,}", f"{each.num_groups:,}", f"{each.size_bytes:,}", each.sha256)
            for each in card.files
        ],
    )
    yield "\nNo record and no group (tune, page, context, poem, …) is in two of the files.\n"
    yield "## Left out\n"
    if card.reasons:
        yield from _table(("reason", "items"), [(why, f"{number:,}") for why, number in card.reasons.items()])
        yield f"\n`{LEFT_OUT}` names each of them.\n"
    else:
        yield "Nothing.\n"
    if card.notes:
        yield "## Noted\n"
        yield from _table(("of records", "records"), [(what, f"{number:,}") for what, number in card.notes.items()])
        yield ""
    yield "## Sources\n"
    yield from _table(
        ("file", "bytes", "SHA-256"), [(each.name, f"{each.size_bytes:,}", each.sha256) for each in card.sources]
    )
    yield "\n## Options\n"
    options = {**card.run.options, "split": card.split, "seed": str(card.seed)}
    yield from _table(("option", "value"), [(name, _code(value)) for name, value in options.items()])
    yield f"\n## Licence\n\n{_licence(card)}"


def _licence(card: Card) -> str:
    if card.run.licence:
        return f"{card.run.licence} (told by whoever ran this)."
    beside = f" See {', '.join(card.licence_files)} beside them." if card.licence_files else ""
    return f"Not told. The records are made of the sources, whose licence goes with them.{beside}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows[:_MOST_ROWS]:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    if len(rows) > _MOST_ROWS:
        yield f"\n… and {len(rows) - _MOST_ROWS:,} more."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text and "`" not in text else text
