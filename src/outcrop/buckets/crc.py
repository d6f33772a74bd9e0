"""The cyclic redundancy checks of S3, by anycrc: with the processor's carry-less products they cost next to nothing.

Each begins at 0 and goes on from the check of what came before, as zlib.crc32 does:

    CRC32C.calc(b"world", CRC32C.calc(b"hello ", 0)) == CRC32C.calc(b"hello world", 0)
    CRC32C.combine(check of a, check of b, len(b)) == check of a + b

Source of the polynomials: https://reveng.sourceforge.io/crc-catalogue/ under the names given here.
"""

from typing import Protocol

import anycrc


class Model(Protocol):
    """The methods used here of anycrc's models, which come without types."""

    def calc(self, data: bytes, init: int, /) -> int: ...
    def combine(self, first: int, second: int, size_of_second: int, /) -> int: ...


CRC32: Model = anycrc.Model("CRC32-ISO-HDLC")
CRC32C: Model = anycrc.Model("CRC32-ISCSI")
CRC64NVME: Model = anycrc.Model("CRC64-NVME")
