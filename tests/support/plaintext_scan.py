"""A search of a home for plaintext: does any window of 16 bytes of what should be sealed stand in any file?

Any such window holds one whole word of 8 bytes that begins at a multiple of 8 in its secret. So the words of the
secrets are looked for at every offset of the files, in numpy, first in a table of bits; where one is found, its
neighbours are compared too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES = 16
_WORD_BYTES = 8
_PART_BYTES = 8 << 20
_DULL_BYTES = 6
"Windows of fewer different bytes are passed over: zeros, blanks and rows of dashes are in every file."
_TABLE_BITS = 24
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Leak(NamedTuple):
    """A place in a file where a piece of a secret stands."""

    path: Path
    offset: int
    secret: str
    text: bytes


class PlaintextScan:
    """Secrets to be looked for in files."""

    def __init__(self, secrets: Mapping[str, bytes], *, known: Sequence[bytes] = ()) -> None:
        """`known`: what may stand in files all the same, since it is no secret: formats and names."""
        self._names = list(secrets)
        self._contents = list(secrets.values())
        self._known = known
        words = [_words_of(each, 0) for each in self._contents]
        owners = np.repeat(np.arange(len(words)), [len(each) for each in words])
        places = np.concatenate([np.arange(len(each)) * _WORD_BYTES for each in words])
        joined = np.concatenate(words)
        telling = np.concatenate([~_within_one_byte(each) for each in words])
        joined, owners, places = joined[telling], owners[telling], places[telling]
        order = np.argsort(joined, kind="stable")
        self._words, self._owners, self._places = joined[order], owners[order], places[order]
        self._table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._table[_mixed(self._words)] = True

    def files(self, folder: Path) -> list[Leak]:
        """Everything found in all files under a folder; the first find of each file."""
        return [
            leak
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink() and (leak := self.file(path)) is not None
        ]

    def file(self, path: Path) -> Leak | None:
        """A find in a file, if there is one."""
        before, offset = b"", 0
        try:
            with path.open("rb") as file:
                while part := file.read(_PART_BYTES):
                    joined = before + part
                    found = self._find(joined)
                    if found is not None:
                        place, secret, window = found
                        return Leak(path, offset - len(before) + place, secret, window)
                    before, offset = joined[-(2 * WINDOW_BYTES) :], offset + len(part)
        except FileNotFoundError:  # a file of a process that is at work may go meanwhile
            pass
        return None

    def _find(self, data: bytes) -> tuple[int, str, bytes] | None:
        for shift in range(_WORD_BYTES):
            words = _words_of(data, shift)
            maybe = np.nonzero(self._table[_mixed(words)] & ~_within_one_byte(words))[0]
            first = np.searchsorted(self._words, words[maybe], side="left")
            last = np.searchsorted(self._words, words[maybe], side="right")
            for hit in np.nonzero(last > first)[0]:
                place = int(maybe[hit]) * _WORD_BYTES + shift
                for index in range(first[hit], last[hit]):
                    window = self._window(data, place, int(self._owners[index]), int(self._places[index]))
                    if window is not None:
                        return place, self._names[self._owners[index]], window
        return None

    def _window(self, data: bytes, place: int, owner: int, at: int) -> bytes | None:
        """A window of the secret that stands around this place of the data."""
        secret = self._contents[owner]
        begin, end = 0, _WORD_BYTES
        while (
            min(place, at) + begin > 0 and begin > -WINDOW_BYTES and data[place + begin - 1] == secret[at + begin - 1]
        ):
            begin -= 1
        while place + end < len(data) and at + end < len(secret) and data[place + end] == secret[at + end]:
            end += 1
            if end == WINDOW_BYTES:
                break
        same = secret[at + begin : at + end]
        for start in range(len(same) - WINDOW_BYTES + 1):
            window = same[start : start + WINDOW_BYTES]
            if len(set(window)) >= _DULL_BYTES and not any(window in each for each in self._known):
                return window
        return None


def _within_one_byte(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which words repeat one byte, as both of their neighbours do: every window around them is dull.

    Weights have zeros by the page, and so have files: each of the one would be held against each of the other.
    """
    dull = np.zeros(len(words), dtype=np.bool_)
    same = words[1:] == words[:-1]
    one_byte = words == (words & np.uint64(0xFF)) * np.uint64(0x0101010101010101)
    dull[1:-1] = same[1:] & same[:-1] & one_byte[1:-1]
    return dull


def _words_of(data: bytes, shift: int) -> NDArray[np.uint64]:
    count = max(0, len(data) - shift) // _WORD_BYTES
    return np.frombuffer(data, dtype="<u8", count=count, offset=shift if count else 0)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return (words * _MIX) >> np.uint64(64 - _TABLE_BITS)
