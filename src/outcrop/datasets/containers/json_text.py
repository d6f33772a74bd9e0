"""The values of one large JSON text, taken out one after the other as bytes, without reading it whole.

Here only brackets and quotation marks are looked at; what stands between them is parsed by `json_lines`, strictly.
"""

import re
from typing import IO

_BLOCK = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_NO_SPACE = re.compile(rb"[^ \t\r\n]")
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_SCALAR_END = re.compile(rb'[,:"{}\[\] \t\r\n]')


class EndedEarlyError(Exception):
    """The text ends within a value."""


class JsonStream:
    """A position in a JSON text that is read from a file."""

    def __init__(self, file: IO[bytes], *, most: int) -> None:
        self._file = file
        self._most = most
        "Bytes of a value that are given; of a longer one, one more."
        self._buffer = file.read(_BLOCK).removeprefix(_BOM)
        self._at = self._start = 0
        self._kept: list[bytes] | None = None
        "Pieces of the value that is being taken, before the buffer."

    def peek(self) -> bytes:
        """The next byte that is no white space; nothing at the end."""
        while True:
            found = _NO_SPACE.search(self._buffer, self._at)
            if found:
                self._at = found.start()
                return found.group()
            self._at = len(self._buffer)
            if not self._fill():
                return b""

    def skip(self) -> None:
        """Go over the byte that `peek` told."""
        self._at += 1

    def value(self) -> bytes:
        """The bytes of the value that begins here, bad ones too. Raises EndedEarlyError."""
        first = self.peek()
        self._kept, self._start = [], self._at
        try:
            if first == b'"':
                self._at += 1
                self._string()
            elif first in (b"{", b"["):
                self._nested()
            else:
                self._scalar()
            return (b"".join(self._kept) + self._buffer[self._start : self._at])[: self._most + 1]
        finally:
            self._kept = None

    def _nested(self) -> None:
        depth = 0
        while True:
            found = self._find(_OUTSIDE)
            if found == b'"':
                self._string()
            else:
                depth += 1 if found in (b"{", b"[") else -1
                if not depth:
                    return

    def _string(self) -> None:
        while self._find(_INSIDE) == b"\\":
            if self._at == len(self._buffer) and not self._fill():
                raise EndedEarlyError
            self._at += 1  # whatever is escaped, it ends no string

    def _scalar(self) -> None:
        while True:
            found = _SCALAR_END.search(self._buffer, self._at)
            if found:
                self._at = found.start()
                if self._at == self._start and not self._kept:
                    self._at += 1  # a byte that begins no value is one by itself, and told when it is parsed
                return
            self._at = len(self._buffer)
            if not self._fill():
                return

    def _find(self, pattern: re.Pattern[bytes]) -> bytes:
        """The next byte of a kind, and the position behind it."""
        while True:
            found = pattern.search(self._buffer, self._at)
            if found:
                self._at = found.end()
                return found.group()
            self._at = len(self._buffer)
            if not self._fill():
                raise EndedEarlyError

    def _fill(self) -> bool:
        """More of the file in the buffer, whose end was reached; False at the file's end."""
        fresh = self._file.read(_BLOCK)
        if not fresh:
            return False
        if self._kept is not None:
            if sum(map(len, self._kept)) <= self._most:
                self._kept.append(self._buffer[self._start : self._at])
            self._start = 0
        self._buffer, self._at = fresh, 0
        return True
