"""Texts within nested values, taken out in order and put back changed."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any


class StringSlots:
    """The strings of some values, wherever they stand; keys are none of them."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = copy.deepcopy(list(values))
        self._slots = [*_slots(self._values)]
        self.texts = [str(place[key]) for place, key in self._slots]

    @staticmethod
    def of(place: Any, key: Any) -> list[tuple[Any, Any]]:
        """The places of the strings in a value that stands at a key, which are changed where they are."""
        return [(place, key)] if isinstance(place[key], str) else [*_slots(place[key])]

    def filled(self, texts: Sequence[str]) -> list[Any]:
        """The values with other texts in the same places."""
        for (place, key), text in zip(self._slots, texts, strict=True):
            place[key] = text
        return self._values


def _slots(place: Any) -> Iterator[tuple[Any, Any]]:
    keys: Sequence[Any] = (
        list(place) if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else ()
    )
    for key in keys:
        if isinstance(place[key], str):
            yield place, key
        else:
            yield from _slots(place[key])
