"""Splitting records into training, validation and test, whole groups at a time.

Groups are taken in an order that only their names and the seed decide. The held-out parts are filled first, for they
decide what a score is worth: a group that is larger than the room left in a part goes to a later one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from outcrop.errors import Invalid

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
LEFT_OVER = -1
"The part of records that fit into none."


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part's size: a count, a percentage of all records, or the lesser of both where both are given."""

    count: int | None = None
    percent: float | None = None

    def num_records(self, num_all: int) -> int:
        of_all = num_all if self.percent is None else round(num_all * self.percent / 100)
        return of_all if self.count is None else min(self.count, of_all)

    def __str__(self) -> str:
        count = None if self.count is None else f"{self.count:,}"
        percent = None if self.percent is None else f"{self.percent:.4g}%"
        return f"{percent}, at most {count}" if count and percent else count or percent or "all"


NOTHING, EVERYTHING = Share(count=0), Share()


@dataclass(frozen=True, kw_only=True)
class PartSizes:
    """The sizes of the three parts; training takes what the others leave, up to its own."""

    train: Share = EVERYTHING
    validation: Share = Share(percent=10)
    test: Share = NOTHING

    def __str__(self) -> str:
        return f"train {self.train}, validation {self.validation}, test {self.test}"


def parse_share(text: str, *, name: str) -> Share:
    """The share that `1000` or `10%` stands for. Raises Invalid, naming the option."""
    plain = text.strip().replace(",", "").replace("_", "")
    try:
        if plain.endswith("%"):
            percent = float(plain[:-1])
            if 0 <= percent <= 100:
                return Share(percent=percent)
        elif (count := int(plain)) >= 0:
            return Share(count=count)
    except ValueError:
        pass  # said below, as of the other values that are no size
    raise Invalid(f"{name}: {text!r} is no size of a part. Give a count such as 1000, or a percentage such as 10%.")


def assign(groups: Any, split: PartSizes) -> Any:
    """The part of each record, by its number in PARTS, or LEFT_OVER.

    `groups` is an array with the group of each record; groups are taken in the order of their values. Raises Invalid
    where a part that was asked for stays empty.
    """
    order, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    part_of = np.full(len(order), LEFT_OVER, dtype=np.int8)
    num_all = len(groups)
    for name, share in ((TEST, split.test), (VALIDATION, split.validation)):
        _fill(part_of, sizes, share, name=name, num_all=num_all)
    _fill(part_of, sizes, split.train, name=TRAIN, num_all=num_all)
    return part_of[group_of]


def _fill(part_of: Any, sizes: Any, share: Share, *, name: str, num_all: int) -> None:
    wanted = share.num_records(num_all)
    taken = _fitting(np.flatnonzero(part_of == LEFT_OVER), sizes, wanted)
    if not taken and share.percent is not None and wanted:
        taken = _smallest(part_of, sizes, keep_one=name != TRAIN)
    asked = share.percent != 0 and share.count != 0
    if not taken and asked and (wanted or name == TRAIN):
        raise Invalid(_empty(name, num_all, len(sizes), int(sizes.min())))
    part_of[taken] = PARTS.index(name)


def _fitting(free: Any, sizes: Any, room: int) -> list[int]:
    """Groups in their order, each that still fits."""
    taken = []
    for group in free:
        if not room:
            break
        if sizes[group] <= room:
            taken.append(int(group))
            room -= int(sizes[group])
    return taken


def _smallest(part_of: Any, sizes: Any, *, keep_one: bool) -> list[int]:
    """The smallest group that is free: a percentage of few large groups may be below any of them."""
    free = np.flatnonzero(part_of == LEFT_OVER)
    return [int(free[np.argmin(sizes[free])])] if len(free) > keep_one else []


def _empty(name: str, num_records: int, num_groups: int, least: int) -> str:
    what = f"{num_records:,} records in {num_groups:,} groups, of which the smallest has {least:,}"
    return f"{name} stays empty: there are {what}. Ask for smaller parts, or bring more data."


def counts(parts: Any) -> Sequence[int]:
    """How many records each part of PARTS has."""
    return [int((parts == number).sum()) for number in range(len(PARTS))]
