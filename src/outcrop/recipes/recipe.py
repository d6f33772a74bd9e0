"""Recipes: functions from sources to items, each a record that is kept or something left out.

A recipe lies in a module of its own, takes `sources: Sequence[Path]` and options by name, and yields items one at a
time, so that sources of any size pass. Its docstring tells source, licence, form and rule; the card repeats it. A
recipe decides about one item at a time: duplicates, the split and the files are `writing.py`'s.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outcrop.datasets.records import Customization


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A record that a recipe made, and where it came from."""

    record: Mapping[str, Any]
    "One of Bedrock's forms: {'prompt', 'completion'}, {'input'} or {'messages', …}."
    group: str
    "The tune, page, context or poem it is of: records of one group never stand in two parts of the split."
    origin: str
    "file:line or the like; the file as `source_names` calls it."
    fields: Mapping[str, Any] = field(default_factory=dict)
    "What else is known of it, such as the columns of the source's row: a user's template may name them."
    note: str = ""
    "What is to be known of it, such as that a sentence was cut. One of few: the card counts them."


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """An item of the source that became no record, and why."""

    origin: str
    reason: str
    "One of few: the card counts them. What differs from item to item belongs into `detail`."
    detail: str = ""


Item = Kept | Dropped


@dataclass(frozen=True, kw_only=True)
class RecipeRun:
    """A run of a recipe, as the card tells it."""

    recipe: str
    rule: str
    "The recipe's docstring."
    sources: Sequence[Path]
    options: Mapping[str, str] = field(default_factory=dict)
    "By the names of the command line."
    licence: str = ""
    "The licence of the sources, where the user told it."


def source_names(sources: Iterable[Path]) -> dict[Path, str]:
    """The shortest names by which sources can be told apart: a/train.jsonl and b/train.jsonl, else train.jsonl."""
    paths = list(dict.fromkeys(sources))
    names: dict[Path, str] = {}
    for path in paths:
        parts = path.absolute().parts
        length = next(
            (n for n in range(1, len(parts)) if sum(each.absolute().parts[-n:] == parts[-n:] for each in paths) == 1),
            len(parts),
        )
        names[path] = "/".join(parts[-length:]).replace("//", "/")
    return names


def kind_of_record(record: Mapping[str, Any]) -> Customization:
    """The customization that a record is for."""
    return "CONTINUED_PRE_TRAINING" if "input" in record else "FINE_TUNING"


def within(items: Iterable[Item], *, most_characters: int) -> Iterator[Item]:
    """The items, those left out whose record is longer than `most_characters` in all its texts together."""
    for item in items:
        if isinstance(item, Kept) and (length := num_characters(item.record)) > most_characters:
            yield Dropped(
                origin=item.origin, reason=f"over {most_characters:,} characters", detail=f"{length:,} characters"
            )
        else:
            yield item


def num_characters(record: Mapping[str, Any]) -> int:
    """Characters of a record's texts: prompt and completion, input, or system and turns."""
    return _letters([record[key] for key in ("prompt", "completion", "input", "system", "messages") if key in record])


def _letters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_letters(value[key]) for key in ("text", "content") if key in value)
    return sum(map(_letters, value)) if isinstance(value, Sequence) else 0
