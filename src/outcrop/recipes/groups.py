"""Groups joined by what they share: any two items with a key in common, and so on through others."""

import hashlib
from collections.abc import Iterable


class JoinedGroups:
    """A union of sets of keys; some 100 bytes of memory a key."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def join(self, keys: Iterable[str]) -> None:
        """Put all keys, and whatever was joined with any of them, into one group."""
        first, *others = (self._root(_short(key)) for key in keys)
        for other in others:
            root, other = self._root(first), self._root(other)
            self._parent[max(root, other)] = min(root, other)

    def name(self, key: str) -> str:
        """The group of a key, the same for all that were joined with it."""
        return f"{self._root(_short(key)):016x}"

    def _root(self, key: int) -> int:
        self._parent.setdefault(key, key)
        while (above := self._parent[key]) != key:
            self._parent[key] = self._parent[above]
            key = above
        return key


def _short(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())
