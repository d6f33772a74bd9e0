"""The body of an HTTP request, of a stated length or in chunks, up to a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BufferedIOBase

_BLOCK = 1 << 16
_LONGEST_LINE = 4096


class BadBody(Exception):
    """A body that cannot be read as its headers tell."""


class LargeBody(Exception):
    """A body above the limit; whatever of it is left can be read by `discard`."""


def read_body(headers: Mapping[str, str], source: BufferedIOBase, most_bytes: int) -> bytes:
    """The whole body. Raises BadBody and LargeBody, and EOFError where the caller hangs up in its midst."""
    found = bytearray()
    for block in _blocks(headers, source, most_bytes):
        found += block
        if len(found) > most_bytes:
            raise LargeBody
    return bytes(found)


def _blocks(headers: Mapping[str, str], source: BufferedIOBase, most_bytes: int) -> Iterator[bytes]:
    named = {name.lower(): value for name, value in headers.items()}
    coding = named.get("transfer-encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise BadBody(f"Transfer-Encoding {coding} is not understood. Send the body in chunks, or its length.")
        yield from _chunks(source, most_bytes)
        return
    length = named.get("content-length", "0").strip()
    if not length.isascii() or not length.isdigit():
        raise BadBody(f"Content-Length {length} is no length.")
    if int(length) > most_bytes:
        raise LargeBody
    yield from _exactly(source, int(length))


def _chunks(source: BufferedIOBase, most_bytes: int) -> Iterator[bytes]:
    while True:
        size = _line(source).split(b";")[0].strip()
        try:
            num_bytes = int(size, 16)
        except ValueError:
            raise BadBody(f"{size!r} is no size of a chunk.") from None
        if num_bytes < 0:
            raise BadBody(f"{size!r} is no size of a chunk.")
        if num_bytes > most_bytes:
            raise LargeBody
        if not num_bytes:
            break
        yield from _exactly(source, num_bytes)
        if _line(source):
            raise BadBody("A chunk is longer than it says.")
    while _line(source):
        pass  # trailers


def _exactly(source: BufferedIOBase, num_bytes: int) -> Iterator[bytes]:
    while num_bytes:
        block = source.read(min(num_bytes, _BLOCK))
        if not block:
            raise EOFError
        num_bytes -= len(block)
        yield block


def _line(source: BufferedIOBase) -> bytes:
    line = source.readline(_LONGEST_LINE)
    if not line:
        raise EOFError
    if not line.endswith(b"\n"):
        raise BadBody("A line between chunks is too long.")
    return line.rstrip(b"\r\n")
