"""The C beside this file, as compiled for the processor at hand (see `compiling.py`), and tried before it is used."""

import ctypes
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from outcrop import compiling
from outcrop.compiling import typed

_HERE = Path(__file__).parent
_log = logging.getLogger("outcrop.digests")
SOURCE = compiling.Source(
    name="digests",
    files=(_HERE / "digests.c",),
    headers=(_HERE / "side_by_side.h",),
    without="digests of uploads are taken one by one, slower",
    log=_log,
)


class DigestKind(IntEnum):
    """By which digests.c knows them."""

    MD5 = 0
    SHA256 = 1


_SIZES = {DigestKind.MD5: 16, DigestKind.SHA256: 32}


class Digest(Protocol):
    """Of one stream: hashlib's, or ours."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


class _State(ctypes.Structure):
    """`struct digest` of digests.c."""

    _fields_ = (("state", ctypes.c_uint32 * 8), ("size", ctypes.c_uint64), ("rest", ctypes.c_uint8 * 64))


class _Job(ctypes.Structure):
    """`struct job` of digests.c."""

    _fields_ = (
        ("digest", ctypes.POINTER(_State)),
        ("pieces", ctypes.POINTER(ctypes.c_char_p)),
        ("sizes", ctypes.POINTER(ctypes.c_size_t)),
        ("num_pieces", ctypes.c_size_t),
    )


class DigestLibrary:
    """The functions of one compiled file. No call holds the interpreter's lock."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for what is no such file."""
        found = ctypes.CDLL(str(path))
        state, kind = ctypes.POINTER(_State), ctypes.c_int
        self.begin = typed(found.outcrop_digest_begin, kind, state)
        self.take = typed(found.outcrop_digest, kind, ctypes.c_size_t, ctypes.POINTER(_Job))
        self.end = typed(found.outcrop_digest_end, kind, state, ctypes.c_char_p)
        self.num_lanes: int = typed(found.outcrop_digest_lanes, result=ctypes.c_int)()


class RunningDigest:
    """As hashlib's, of one stream. Many are fed together by `take`."""

    def __init__(self, library: DigestLibrary, kind: DigestKind) -> None:
        self.kind = kind
        self.library = library
        self._state = _State()
        library.begin(kind, self._state)

    def update(self, data: bytes, /) -> None:
        take({self: [data]})

    def digest(self) -> bytes:
        out = ctypes.create_string_buffer(_SIZES[self.kind])
        self.library.end(self.kind, self._state, out)
        return out.raw

    def hexdigest(self) -> str:
        return self.digest().hex()

    def job(self, pieces: Sequence[bytes]) -> _Job:
        """What follows in this stream, for the library. It keeps the pieces alive."""
        num = len(pieces)
        at, sizes = (ctypes.c_char_p * num)(*pieces), (ctypes.c_size_t * num)(*map(len, pieces))
        return _Job(ctypes.pointer(self._state), at, sizes, num)


def take(following: Mapping[RunningDigest, Sequence[bytes]]) -> None:
    """Feed each of these streams, all of one library, the pieces that follow in it, side by side."""
    for kind in DigestKind:
        chosen = [(digest, pieces) for digest, pieces in following.items() if digest.kind is kind]
        jobs = [digest.job(pieces) for digest, pieces in chosen]
        if jobs:
            chosen[0][0].library.take(kind, len(jobs), (_Job * len(jobs))(*jobs))


def library() -> DigestLibrary | None:
    """The functions, or None where they cannot be had; why is logged. A first call may compile, for a second or two."""
    found = compiling.loaded(SOURCE, DigestLibrary)
    if found is not None and not answers_alike(found):
        _log.warning("the C digests come out wrong here and are not used: please report your compiler and processor")
        return None
    return found


def answers_alike(library: DigestLibrary) -> bool:
    """Whether streams of every length about a block's, one and many at a time, have hashlib's digests."""
    streams = [bytes(range(size)) * 2 for size in range(130)]
    return all(
        _are_plain(library, kind, streams[first : first + num])
        for kind in DigestKind
        for num in (1, library.num_lanes, len(streams))
        for first in range(0, len(streams), num)
    )


def _are_plain(library: DigestLibrary, kind: DigestKind, streams: Iterable[bytes]) -> bool:
    following: dict[RunningDigest, Sequence[bytes]] = {RunningDigest(library, kind): [one, one] for one in streams}
    take(following)
    return all(digest.digest() == plain(kind, b"".join(pieces)).digest() for digest, pieces in following.items())


def plain(kind: DigestKind, data: bytes = b"") -> Digest:
    """hashlib's own."""
    return hashlib.sha256(data) if kind is DigestKind.SHA256 else hashlib.md5(data, usedforsecurity=False)
