"""The cyclic redundancy checks that Python's library lacks: CRC-32C and CRC-64/NVME, table-driven.

Short data goes through the classic loop over bytes. Longer data is cut into 4,096 lanes that NumPy moves through the
table side by side, after which neighbouring lanes are joined pairwise; that is some 20 times faster than the loop.
Both rest on the check being linear: crc(a + b) = shifted(crc(a), len(b)) ^ crc(b) for a register that begins at 0.
Source of both polynomials: https://reveng.sourceforge.io/crc-catalogue/ (CRC-32/ISCSI, CRC-64/NVME).
"""

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LANES = 4096
_LANE_BYTES = 256
_BLOCK = _LANES * _LANE_BYTES
_WORTH_LANES = 8192


class Polynomial(NamedTuple):
    """A reflected polynomial; the register begins as all ones, and is inverted at the end."""

    bits: int
    width: int


CRC32 = Polynomial(0xEDB88320, 32)  # zlib takes it; here it is only joined
CRC32C = Polynomial(0x82F63B78, 32)
CRC64NVME = Polynomial(0x9A6C9329AC4BC9B5, 64)


def crc(data: bytes, polynomial: Polynomial, before: int = 0) -> int:
    """The check of everything so far: `before` is that of the data that came before, as with zlib.crc32."""
    ones = (1 << polynomial.width) - 1
    register = before ^ ones
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        through = _through_lanes if len(block) >= _WORTH_LANES else _through_loop
        register = through(block, polynomial, register)
    return register ^ ones


def joined(first: int, second: int, size: int, polynomial: Polynomial) -> int:
    """The check of two pieces in a row from the check of each, and the size of the second."""
    return _applied(_images_after(polynomial, size), first) ^ second


@lru_cache(maxsize=64)
def _images_after(polynomial: Polynomial, size: int) -> list[int]:
    """What becomes of each bit of a register after so many zero bytes: the map of one byte, by repeated squaring."""
    images = [1 << bit for bit in range(polynomial.width)]
    step = [_through_loop(b"\0", polynomial, 1 << bit) for bit in range(polynomial.width)]
    while size:
        if size & 1:
            images = [_applied(step, image) for image in images]
        step = [_applied(step, image) for image in step]
        size >>= 1
    return images


def _through_loop(data: bytes, polynomial: Polynomial, register: int) -> int:
    table = _byte_table(polynomial)
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register


def _through_lanes(data: bytes, polynomial: Polynomial, register: int) -> int:
    import numpy as np  # only who needs these checks pays for the import

    # Zeros in front leave a register of 0 as it is, so any length fills the lanes; and a register before the data is
    # the same as a register of 0 before data whose first bytes were combined with it.
    block = np.zeros(_BLOCK, dtype=np.uint8)
    block[_BLOCK - len(data) :] = np.frombuffer(data, dtype=np.uint8)
    first = _BLOCK - len(data)
    begun = np.frombuffer(register.to_bytes(polynomial.width // 8, "little"), dtype=np.uint8)
    block[first : first + len(begun)] ^= begun

    table = np.array(_byte_table(polynomial), dtype=np.uint64)
    lanes = np.zeros(_LANES, dtype=np.uint64)
    eight = np.uint64(8)
    for column in np.ascontiguousarray(block.reshape(_LANES, _LANE_BYTES).T):
        lanes = table[lanes.astype(np.uint8) ^ column] ^ (lanes >> eight)
    for tables in _joining_tables(polynomial):
        lanes = _shifted(lanes[::2], tables) ^ lanes[1::2]
    return int(lanes[0])


def _shifted(registers: "NDArray[np.uint64]", tables: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    shifted: NDArray[np.uint64] = tables[0][registers.astype("uint8")]
    for place in range(1, len(tables)):
        shifted = shifted ^ tables[place][(registers >> (8 * place)).astype("uint8")]
    return shifted


@cache
def _byte_table(polynomial: Polynomial) -> list[int]:
    """What a register holds after one byte, by its last byte before."""
    table = []
    for register in range(256):
        for _ in range(8):
            register = (register >> 1) ^ (polynomial.bits if register & 1 else 0)
        table.append(register)
    return table


@cache
def _joining_tables(polynomial: Polynomial) -> "list[NDArray[np.uint64]]":
    """For each joining of neighbours: tables of a register after as many zero bytes as a lane then covers."""
    zero_byte = [_through_loop(b"\0", polynomial, 1 << bit) for bit in range(polynomial.width)]
    images = zero_byte
    for _ in range(_LANE_BYTES.bit_length() - 1):
        images = [_applied(images, image) for image in images]
    levels = []
    for _ in range(_LANES.bit_length() - 1):
        levels.append(_as_tables(images))
        images = [_applied(images, image) for image in images]
    return levels


def _applied(images: list[int], register: int) -> int:
    """A linear map, given by the images of single bits, of a register."""
    result = 0
    for bit, image in enumerate(images):
        if register >> bit & 1:
            result ^= image
    return result


def _as_tables(images: list[int]) -> "NDArray[np.uint64]":
    import numpy as np

    places = range(0, len(images), 8)
    rows = [[_applied(images[place : place + 8], byte) for byte in range(256)] for place in places]
    return np.array(rows, dtype=np.uint64)
