"""MD5 and SHA-256 of what arrives in many streams at once, taken together in threads of their own.

A digest is a chain: one stream can be taken no faster than its steps follow each other. What other streams have waiting
meanwhile goes along in the other lanes of the processor's vectors (digests.c). Where that cannot be had, each is
hashlib's.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from threading import Condition, RLock
from typing import Self

from outcrop import compiling
from outcrop.digests.library import Digest, DigestKind, DigestLibrary, RunningDigest, library, plain, take

_GATHERING_S = 0.004
"How long what has arrived waits at most for what other streams bring."
_FEW = 2
"With fewer others a stream is hashlib's: alone it is faster than in a lane."
_INSTRUCTIONS_OF_SHA256 = {"sha_ni", "sha2"}
"In the flags of a processor that has them: hashlib uses them. Whether vectors would be faster was not measured."


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work:
    digests: tuple[Digest, ...]
    pieces: Sequence[bytes]
    done: Future[None] = field(default_factory=Future)


class Stream:
    """The digests of one stream. `take` what follows only when what came before is done."""

    def __init__(self, streams: "Streams", digests: dict[DigestKind, Digest]) -> None:
        self._streams = streams
        self._digests = digests

    def __enter__(self) -> Self:
        self._streams.open(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._streams.open(-1)

    def take(self, pieces: Sequence[bytes]) -> Future[None]:
        return self._streams.submit(_Work(digests=tuple(self._digests.values()), pieces=pieces))

    def __getitem__(self, kind: DigestKind) -> Digest:
        """Of all that was taken and is done."""
        return self._digests[kind]


class Streams:
    """All streams of one process."""

    def __init__(self, find: Callable[[], DigestLibrary | None] = library) -> None:
        """`find` is called once, in a thread, when there are enough streams; until it is done all are hashlib's."""
        self._threads = ThreadPoolExecutor(1 + (os.cpu_count() or 1), thread_name_prefix="digest")
        self._changed = Condition(RLock())
        self._waiting: list[_Work] = []
        self._at_work = 0
        "Threads."
        self._gathers = False
        self._last = 1
        "So many were taken together, or lately more: as many are waited for again."
        self._num_open = 0
        self._find = find
        self._library: Future[DigestLibrary | None] | None = None

    def stream(self, *kinds: DigestKind) -> Stream:
        """For use in a `with`."""
        found = self._found() if self._num_open >= _FEW else None
        return Stream(self, {kind: _begun(kind, found) for kind in kinds})

    def open(self, change: int) -> None:
        """So many more streams are there, or fewer."""
        with self._changed:
            self._num_open += change
            self._changed.notify_all()

    def submit(self, work: _Work) -> Future[None]:
        if any(isinstance(digest, RunningDigest) for digest in work.digests):
            with self._changed:
                self._waiting.append(work)
                self._changed.notify_all()
            self._threads.submit(self._go_on)
        else:
            self._threads.submit(_end, [work])
        return work.done

    def _found(self) -> DigestLibrary | None:
        with self._changed:
            if self._library is None:
                self._library = self._threads.submit(self._find)
        return self._library.result() if self._library.done() else None

    def _go_on(self) -> None:
        while works := self._next():
            _end(works)
            with self._changed:
                self._at_work -= 1

    def _next(self) -> list[_Work]:
        """What is to be taken together now; nothing if there is nothing, or another thread will see to it."""
        with self._changed:
            lanes = self._lanes()
            if not self._waiting or self._gathers or (self._at_work and len(self._waiting) < lanes):
                return []
            self._gathers = True
            expected = min(self._num_open, self._last, lanes)
            self._changed.wait_for(lambda: len(self._waiting) >= expected, _GATHERING_S)
            self._gathers = False
            works, self._waiting = self._waiting[:lanes], self._waiting[lanes:]
            self._last = max(len(works), self._last - 1)
            self._at_work += 1
            return works

    def _lanes(self) -> int:
        found = self._found()
        assert found is not None, "what waits was begun by the library"
        return found.num_lanes


def _end(works: Sequence[_Work]) -> None:
    """Take them, and tell those who wait, whatever happens."""
    wanted = [work for work in works if work.done.set_running_or_notify_cancel()]
    failure: BaseException | None = None
    try:
        _take(wanted)
    except BaseException as error:
        failure = error
    for work in wanted:
        if failure is None:
            work.done.set_result(None)
        else:
            work.done.set_exception(failure)


def _take(works: Sequence[_Work]) -> None:
    together: dict[RunningDigest, Sequence[bytes]] = {}
    for work in works:
        for digest in work.digests:
            if isinstance(digest, RunningDigest):
                together[digest] = work.pieces
            else:
                for piece in work.pieces:
                    digest.update(piece)
    if together:
        take(together)


def _begun(kind: DigestKind, library: DigestLibrary | None) -> Digest:
    if library is None or (kind is DigestKind.SHA256 and _has_sha256()):
        return plain(kind)
    return RunningDigest(library, kind)


@cache
def _has_sha256() -> bool:
    return not _INSTRUCTIONS_OF_SHA256.isdisjoint(compiling.processor().split())
