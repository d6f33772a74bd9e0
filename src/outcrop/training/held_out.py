"""Records set aside from the training data, where no validation data is given: whole ones, and never trained on."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from outcrop.training.examples import Example, RecordOrigin


class Split(NamedTuple):
    """The examples to train on and those held out, each in the order of the file."""

    training: list[Example]
    held_out: list[Example]
    note: str
    "What was done, in plain words."


def set_aside(examples: Sequence[Example], *, percentage: float, seed: int) -> Split:
    """About `percentage` of the records, chosen by the seed alone; at least one, and never all.

    All sequences of a record go together, and so do records of equal tokens: a copy that was trained on would make the
    held-out loss a lie. Nothing is set aside where all records are equal.
    """
    groups = _equal_records(examples)
    num_records = sum(map(len, groups))
    wanted = max(1, round(num_records * percentage / 100))
    random.Random(f"{seed}/held out").shuffle(groups)
    chosen: set[RecordOrigin] = set()
    for group in groups[:-1]:
        if len(chosen) >= wanted:
            break
        chosen.update(group)
    return Split(
        training=[example for example in examples if example.origin not in chosen],
        held_out=[example for example in examples if example.origin in chosen],
        note=f"{len(chosen)} of {num_records} records were set aside for validation ({percentage:g} %, seed {seed}) "
        "and are not trained on",
    )


def _equal_records(examples: Sequence[Example]) -> list[list[RecordOrigin]]:
    """Origins of the records, those with the same tokens together."""
    contents: dict[RecordOrigin, list[bytes]] = {}
    for example in examples:
        contents.setdefault(example.origin, []).append(example.ids_T.numpy().tobytes())
    groups: dict[tuple[bytes, ...], list[RecordOrigin]] = {}
    for origin, content in contents.items():
        groups.setdefault(tuple(content), []).append(origin)
    return list(groups.values())
