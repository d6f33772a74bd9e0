"""Files compressed with gzip or Zstandard, unpacked as they are read and never beyond what a text can be.

Both are read a block at a time, so that a bomb costs neither memory nor disk: unpacking ends where it is known for one.
"""

import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from outcrop.datasets.containers.trouble import ContainerError, needs_extra

_BLOCK = 256 * 1024
_TRUSTED_BYTES = 64 * 1024 * 1024
_MOST_TIMES = 200
"A text is seldom a tenth as long when it is compressed. What is trusted may repeat itself as it likes."


class Decompressor(Protocol):
    """A decompressor of one member of a file: what the member holds, and whether it has ended."""

    def decompress(self, data: bytes, max_length: int) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def hungry(self) -> bool:
        """Whether it needs more input to give more."""


class _Gzip:
    """A member of a gzip file."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def hungry(self) -> bool:
        return not self._inner.unconsumed_tail


class _Zstandard:
    """A frame of a Zstandard file."""

    def __init__(self) -> None:
        self._inner = _zstd().ZstdDecompressor()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return bytes(self._inner.decompress(data, max_length))

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    @property
    def hungry(self) -> bool:
        return bool(self._inner.needs_input)


def _zstd() -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise needs_extra("compressed with Zstandard") from error
    return zstd


class Packing:
    """A way in which whole files are compressed."""

    def __init__(self, name: str, starts: bytes, suffixes: tuple[str, ...], begin: Callable[[], Decompressor]) -> None:
        self.name, self.starts, self.suffixes, self.begin = name, starts, suffixes, begin


GZIP = Packing("gzip", b"\x1f\x8b", (".gz", ".gzip"), _Gzip)
ZSTANDARD = Packing("Zstandard", b"\x28\xb5\x2f\xfd", (".zst", ".zstd"), _Zstandard)


def packing_of(path: Path) -> Packing | None:
    """The way in which a file is compressed, by its first bytes. None: it is not, or in a way that is not read."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((packing for packing in (GZIP, ZSTANDARD) if start.startswith(packing.starts)), None)


def open_plain(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked where it is compressed. Reading raises ContainerError where they come to no good end."""
    packing = packing_of(path)
    if packing is None:
        return path.open("rb")
    return io.BufferedReader(_Unpacked(path, packing), _BLOCK)


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a compressed file, member after member."""

    def __init__(self, path: Path, packing: Packing) -> None:
        self._packing = packing
        self._member = packing.begin()
        self._file = path.open("rb")
        self._waiting = b""
        self._taken = self._given = 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        block = self._block(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def _block(self, most: int) -> bytes:
        while True:
            if self._member.eof and not self._next_member():
                return b""
            fresh = self._more() if self._member.hungry else b""
            block = self._unpacked(fresh, most)
            if block:
                return block
            if not fresh and self._member.hungry and not self._member.eof:
                raise self._broken("ends within its compressed data", "It is not whole: fetch or write it again.")

    def _unpacked(self, fresh: bytes, most: int) -> bytes:
        try:
            block = self._member.decompress(fresh, most)
        except Exception as error:  # each library has an error of its own
            what = f"damaged: its compressed data cannot be unpacked after {self._given:,} bytes"
            raise self._broken(what, "Fetch or write it again.") from error
        self._given += len(block)
        if self._given > max(_TRUSTED_BYTES, _MOST_TIMES * self._taken):
            what = f"unpacks to more than {_MOST_TIMES} times its size, as no text does"
            raise self._broken(what, "Unpack it yourself, if it is none the less one, and give the file inside.")
        return block

    def _more(self) -> bytes:
        fresh, self._waiting = self._waiting, b""
        return fresh or self._read()

    def _read(self) -> bytes:
        fresh = self._file.read(_BLOCK)
        self._taken += len(fresh)
        return fresh

    def _next_member(self) -> bool:
        """Begin the next member, as `cat a.gz b.gz` makes them. False at the end; zeros may follow, as tapes have."""
        left = self._member.unused_data or self._read()
        while left and not left.strip(b"\0"):
            left = self._read()
        if not left:
            return False
        left = left.lstrip(b"\0")
        if not left.startswith(self._packing.starts[: len(left)]):
            what = f"holds something else behind its compressed data, after {self._given:,} bytes unpacked"
            raise self._broken(what, "Fetch or write it again.")
        self._member, self._waiting = self._packing.begin(), left
        return True

    def _broken(self, what: str, mend: str) -> ContainerError:
        return ContainerError(f"compressed with {self._packing.name}, and {what}", mend)
