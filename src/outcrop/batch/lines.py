"""The lines of an input file, one after the other, however many and however long they are.

A line of white space alone is no record, and is passed over. A line beyond what a request may hold is told without its
bytes: reading it would take the memory that nothing else of a job takes.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

LARGEST_LINE_BYTES = 25_000_000
"What InvokeModel's body may have."
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class InputLine(NamedTuple):
    """A line that is to have a result."""

    number: int
    "In its file, from 1; lines of white space are counted too."
    end: int
    "Bytes of the file up to its end."
    data: bytes | None
    "None: it is too long."


def lines_of(file: BinaryIO, *, offset: int = 0, number: int = 0) -> Iterator[InputLine]:
    """The lines behind the first `number` of them, which end at `offset`."""
    file.seek(offset)
    while line := file.readline(LARGEST_LINE_BYTES + 1):
        number += 1
        data: bytes | None = line.removeprefix(_BYTE_ORDER_MARK) if offset == 0 else line
        offset += len(line)
        if len(line) > LARGEST_LINE_BYTES and not line.endswith(b"\n"):
            data = None
            while line and not line.endswith(b"\n"):
                line = file.readline(1 << 20)
                offset += len(line)
        if data is None or data.strip():
            yield InputLine(number, offset, data)
