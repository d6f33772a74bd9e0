"""Parameters of a call that remember which of their members were looked at."""

from collections.abc import Iterator
from typing import Any


class Recorded(dict[str, Any]):
    """A structure of a request. Going through its names is no look at a value, getting one is."""

    def __init__(self, value: dict[str, Any], seen: set[str], path: str = "") -> None:
        super().__init__({name: _recorded(each, seen, f"{path}{name}") for name, each in value.items()})
        self.seen = seen
        self._path = path

    def __getitem__(self, name: str) -> Any:
        self.seen.add(f"{self._path}{name}")
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(f"{self._path}{name}")
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.seen.add(f"{self._path}{name}")
        return super().__contains__(name)

    def items(self) -> Any:
        """All of it is taken on, as where a document is kept whole."""
        self.seen.update(f"{self._path}{name}" for name in super().__iter__())
        return super().items()


class _Items(list[Any]):
    """A list of a request, whose items are looked at when it is gone through."""


def _recorded(value: Any, seen: set[str], path: str) -> Any:
    if isinstance(value, dict):
        return Recorded(value, seen, f"{path}.")
    if isinstance(value, list):
        return _Items(_recorded(each, seen, path) for each in value)
    return value


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all members in a value."""
    if isinstance(value, dict):
        for name, each in value.items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from leaves(each, here)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, path)
