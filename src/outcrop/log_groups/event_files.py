"""Events of one stream, in files that only grow: a batch is one block, whole or absent.

    00000000000000000000.log    blocks one behind another; the name is the number of its first event
    00000000000000031250.log    begun when the one before had 4 MB, or a new day; the older one ends with a seal
    lock                        held by whoever writes, in whichever process

A block has a head (length, checksum, number of its first event, first and last time) and its events as JSON; of a group
with a key, the JSON is a sealed content, and the head is in clear: numbers and times are not what is secret. A writer
that is killed leaves a torn block: readers stop before it, and the next writer cuts it off. A batch is on the disk
before `append` returns. A seal sums its file up, so that nobody reads a file to learn which times it holds.

Why files, and no table: `make bench-logs` measured 117,000 lines a second into a table and 455,000 into files, and made
another writer of the database wait for up to 534 ms beside the one, 50 ms beside the other. Deleting from a table holds
its write lock for a second a million lines, and gives no room back to the disk. Here a stream has a lock of its own,
and old events go with their file.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import orjson

from outcrop.keys import sealed_content
from outcrop.keys.envelopes import DataKey
from outcrop.keys.sealed_content import OpenKey
from outcrop.log_groups.events import OVERHEAD_BYTES, KeptEvent, LogEvent, size_of
from outcrop.store.database import DiskFull, microseconds

FILE_BYTES = 4 << 20
"A file that is as large is sealed, and another begun."
_DAY_US = 86_400_000_000
_FULL = {errno.ENOSPC, errno.EDQUOT}
_EVENTS, _SEALED_EVENTS, _SEAL = b"EVTS", b"EVTX", b"SEAL"
_HEAD = struct.Struct(">4sIIqqqqqq")
"Kind, bytes of the payload, checksum of all behind it; then the number of the first event, and an extent."
_CHECKED = 12
"From here on a block is in its checksum."
_BEGAN = struct.Struct(">q")
"The payload of a seal: when the file's first block was written."


class Extent(NamedTuple):
    """The events of a file summed up: how many, which times, how large."""

    num_events: int = 0
    first_us: int = 0
    last_us: int = 0
    ingested_us: int = 0
    "Of the last block."
    num_bytes: int = 0
    "As CloudWatch Logs counts them."
    began_us: int = 0
    "When its first block was written."


class EventBlock(NamedTuple):
    """The events of one batch, not yet taken apart."""

    number: int
    "Of its first event."
    extent: Extent
    payload: memoryview
    is_sealed: bool = False

    def events(self, stream_id: int, stream: str, open_key: OpenKey) -> list[KeptEvent]:
        """The events by their time. Raises what opening the key of sealed ones raises, SealBroken."""
        ingested_us, payload = self.extent.ingested_us, self.payload
        if self.is_sealed:
            reader = sealed_content.open_bytes(bytes(payload), open_key, name=f"events of {stream}")
            payload = memoryview(reader.pread(0, reader.size))
        return [
            KeptEvent(at_us, ingested_us, stream_id, number, stream, message)
            for number, (at_us, message) in enumerate(orjson.loads(payload), self.number)
        ]


@dataclass
class _Tail:
    """The last file of a stream as this process knows it."""

    path: Path
    size: int
    "Of its whole blocks."
    next_number: int
    extent: Extent


@dataclass
class _Scan:
    """The blocks of a file's content from some byte on, and what they come to."""

    extent: Extent
    size: int
    "Where the whole blocks end."
    blocks: list[EventBlock] = field(default_factory=list)
    sealed: bool = False


class LogFile:
    """A file of a stream, to be read."""

    def __init__(self, path: Path, *, extent: Extent) -> None:
        self._path = path
        self.extent = extent

    def blocks(self) -> list[EventBlock]:
        """The whole blocks; none of a file that was removed meanwhile."""
        try:
            return _scanned(self._path.read_bytes()).blocks
        except FileNotFoundError:
            return []


class LogFiles:
    """The files of one stream. Safe in several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tail: _Tail | None = None
        self._known: dict[Path, _Scan] = {}

    def append(self, events: Sequence[LogEvent], *, now_us: int, data_key: DataKey | None = None) -> int:
        """Write events as one block; returns the number of the next one. Raises DiskFull, and Invalid for an event.

        With a data key they are sealed.

        Events are sorted by their time; those of equal times stay as they came.
        """
        ordered = sorted(((microseconds(each.at), each.message) for each in events), key=_first_of)
        num_bytes = sum(size_of(message) for _, message in ordered) + OVERHEAD_BYTES * len(ordered)
        with self._locked():
            tail = self._tail_for(now_us)
            added = Extent(len(ordered), ordered[0][0], ordered[-1][0], now_us, num_bytes, now_us)
            content, kind = orjson.dumps(ordered), _EVENTS
            if data_key is not None:
                content, kind = sealed_content.seal(content, data_key), _SEALED_EVENTS
            self._write(tail, _block(kind, tail.next_number, added, content))
            tail.extent = _together(tail.extent, added)
            tail.next_number += len(ordered)
            return tail.next_number

    def files(self) -> list[LogFile]:
        """Every file that has events, the oldest first."""
        found = [LogFile(path, extent=self._extent(path)) for path in self._paths()]
        return [each for each in found if each.extent.num_events]

    def extent(self) -> Extent:
        """All events of the stream summed up."""
        total = Extent()
        for each in self.files():
            total = _together(total, each.extent)
        return total

    def next_number(self) -> int:
        """The number that the next event will have."""
        paths = self._paths()
        return int(paths[-1].stem) + self._extent(paths[-1]).num_events if paths else 0

    def remove_before(self, cutoff_us: int) -> int:
        """Remove the files all of whose events are older; returns how many events went."""
        if not any(each.extent.last_us < cutoff_us for each in self.files()):
            return 0
        removed = 0
        with self._locked():
            paths = self._paths()
            for path in paths:
                extent = self._extent(path)
                if not extent.num_events or extent.last_us >= cutoff_us:
                    continue
                if path == paths[-1]:  # whoever writes next goes on counting
                    self._begin(int(path.stem) + extent.num_events)
                path.unlink()
                self._known.pop(path, None)
                removed += extent.num_events
            self._tail = None
        return removed

    def _paths(self) -> list[Path]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return [self._folder / name for name in sorted(names) if name.endswith(".log")]

    def _extent(self, path: Path) -> Extent:
        """The sum of a file; of one that grew, only the new part is read."""
        known = self._known.get(path)
        try:
            with path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if known is not None and (known.sealed or known.size == size):
                    return known.extent
                sealed = _sealed(file.fileno(), size)
                if sealed is not None:
                    scan = _Scan(sealed, size, sealed=True)
                else:
                    before = known or _Scan(Extent(), 0)
                    file.seek(before.size)
                    found = _scanned(file.read())
                    scan = _Scan(_together(before.extent, found.extent), before.size + found.size, sealed=found.sealed)
        except FileNotFoundError:
            return Extent()
        self._known[path] = scan
        return scan.extent

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not the lock that SQLite takes: that one would go when any descriptor of the file is closed in this process.
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(exist_ok=True, mode=0o700)
        with _full_disk_named():
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _tail_for(self, now_us: int) -> _Tail:
        """The file to write to: the last one without its torn block, or a new one."""
        tail = self._known_tail() or self._found_tail()
        full = tail.size >= FILE_BYTES or tail.extent.began_us // _DAY_US < now_us // _DAY_US
        if tail.extent.num_events and full:
            seal = _block(_SEAL, int(tail.path.stem), tail.extent, _BEGAN.pack(tail.extent.began_us))
            self._write(tail, seal)
            tail = self._begin(tail.next_number)
        self._tail = tail
        return tail

    def _known_tail(self) -> _Tail | None:
        """The tail with what other processes have added since; None where it is the tail no more."""
        tail = self._tail
        if tail is None or not tail.path.exists():
            return None
        size = tail.path.stat().st_size
        if size == tail.size:
            return tail
        return self._read_tail(tail) if size > tail.size else None

    def _found_tail(self) -> _Tail:
        paths = self._paths()
        if not paths:
            return self._begin(0)
        first = int(paths[-1].stem)
        return self._read_tail(_Tail(paths[-1], 0, first, Extent())) or self._begin(
            first + self._extent(paths[-1]).num_events
        )

    def _read_tail(self, tail: _Tail) -> _Tail | None:
        """The tail with the rest of its file, less a torn block; None where that ends with a seal."""
        with tail.path.open("rb", buffering=0) as file:
            file.seek(tail.size)
            content = file.read()
        scan = _scanned(content)
        if scan.sealed:
            return None
        size = tail.size + scan.size
        if scan.size < len(content):
            os.truncate(tail.path, size)
        return _Tail(tail.path, size, tail.next_number + scan.extent.num_events, _together(tail.extent, scan.extent))

    def _begin(self, number: int) -> _Tail:
        path = self._folder / f"{number:020}.log"
        with _full_disk_named():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _sync_folder(self._folder)  # else the name may be lost with the power, though the content is not
        return _Tail(path, 0, number, Extent())

    def _write(self, tail: _Tail, block: bytes) -> None:
        self._tail = None
        with _full_disk_named():
            descriptor = os.open(tail.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                _put(descriptor, block)
                os.fdatasync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, tail.size)  # what is not acknowledged is not there
                raise
            finally:
                os.close(descriptor)
        tail.size += len(block)
        self._tail = tail


def _first_of(pair: tuple[int, str]) -> int:
    return pair[0]


def _put(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a disk that is nearly full takes a part
        rest = rest[os.write(descriptor, rest) :]


def _block(kind: bytes, number: int, extent: Extent, payload: bytes) -> bytes:
    head = _HEAD.pack(kind, len(payload), 0, number, *extent[:5])
    checksum = crc32(payload, crc32(head[_CHECKED:]))
    return b"".join((head[:8], checksum.to_bytes(4, "big"), head[_CHECKED:], payload))


def _scanned(content: bytes) -> _Scan:
    """The whole blocks at the beginning of some bytes: up to the first that is torn, or behind the seal."""
    scan = _Scan(Extent(), 0)
    view = memoryview(content)
    while scan.size + _HEAD.size <= len(content) and not scan.sealed:
        kind, size, checksum, number, *summed = _HEAD.unpack_from(content, scan.size)
        body = scan.size + _HEAD.size
        end = body + size
        if (
            kind not in (_EVENTS, _SEALED_EVENTS, _SEAL)
            or end > len(content)
            or crc32(view[scan.size + _CHECKED : end]) != checksum
        ):
            break
        if kind == _SEAL:
            scan.sealed = True
        else:
            extent = Extent(*summed)._replace(began_us=summed[3])
            scan.blocks.append(EventBlock(number, extent, view[body:end], is_sealed=kind == _SEALED_EVENTS))
            scan.extent = _together(scan.extent, extent)
        scan.size = end
    return scan


def _sealed(descriptor: int, size: int) -> Extent | None:
    """The sum in the seal of a file; None where it has none yet."""
    length = _HEAD.size + _BEGAN.size
    end = os.pread(descriptor, length, size - length) if size >= length else b""
    if len(end) < length or end[:4] != _SEAL:
        return None
    _, _, checksum, _, *summed = _HEAD.unpack_from(end)
    if crc32(end[_CHECKED:]) != checksum:
        return None
    return Extent(*summed)._replace(began_us=_BEGAN.unpack_from(end, _HEAD.size)[0])


def _together(one: Extent, other: Extent) -> Extent:
    if not one.num_events or not other.num_events:
        return one if one.num_events else other
    return Extent(
        one.num_events + other.num_events,
        min(one.first_us, other.first_us),
        max(one.last_us, other.last_us),
        max(one.ingested_us, other.ingested_us),
        one.num_bytes + other.num_bytes,
        min(one.began_us, other.began_us),
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _full_disk_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull("The disk is full: no event of the batch was stored. Free some space.") from error
        raise
