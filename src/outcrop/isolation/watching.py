"""Use that a sandboxed program makes of memory, processes, processor time and disk, seen from outside."""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from outcrop.isolation.limits import Breach, SandboxLimits
from outcrop.isolation.trees import TooDeep, walk

_PROCESSES = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES, _THREADS = 1, slice(11, 15), 17
"Places among the fields that follow a process's name in /proc/PID/stat."
_SMALLEST_FILE_BYTES = 4096
_BLOCK_BYTES = 512


@dataclass(frozen=True, kw_only=True)
class SandboxUse:
    """Use that the processes of a sandbox make of the machine now."""

    num_processes: int
    memory_bytes: int
    cpu_s: float


def use(first: int, *, memory: bool = True) -> SandboxUse:
    """Use that everything below a sandbox's first process makes; of memory only if asked for."""
    fields = dict(_stats())
    below = _below(first, fields)
    # Those that have ended and were waited for count with whoever waited, at last with the first process.
    waited_for = fields.get(first, ["0"] * 20)[_TIMES][2:]
    ticks = sum(int(number) for pid in below for number in fields[pid][_TIMES]) + sum(map(int, waited_for))
    return SandboxUse(
        num_processes=sum(int(fields[pid][_THREADS]) for pid in below),
        memory_bytes=_memory(below) if memory else 0,
        cpu_s=ticks / _TICKS_PER_S,
    )


def _below(first: int, fields: Mapping[int, Sequence[str]]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, found in fields.items():
        children.setdefault(int(found[_PARENT]), []).append(pid)
    below = list(children.get(first, []))
    for each in below:  # which grows meanwhile
        below += children.get(each, [])
    return below


def _stats() -> Iterable[tuple[int, list[str]]]:
    for name in os.listdir(_PROCESSES):
        if name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                yield int(name), (_PROCESSES / name / "stat").read_text().rpartition(")")[2].split()


def _memory(pids: Sequence[int]) -> int:
    """Bytes that processes hold for themselves, and the most that one of them holds of memory they may share."""
    own, shared = 0, 0
    for pid in pids:
        with suppress(OSError, ValueError):
            lines = (_PROCESSES / str(pid) / "status").read_text().splitlines()
            told = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon", "RssShmem")))
            own += int(told.get("RssAnon", "0").split()[0]) * 1024
            shared = max(shared, int(told.get("RssShmem", "0").split()[0]) * 1024)
    return own + shared


def disk(folders: Iterable[Path]) -> int:
    """Bytes on disk of everything below some folders. A file with several names counts with each."""
    return sum(
        max(entry.stat.st_blocks * _BLOCK_BYTES, _SMALLEST_FILE_BYTES) for folder in folders for entry in walk(folder)
    )


def disk_without_names(first: int, folders: Iterable[Path]) -> int:
    """Bytes of files that a sandbox's processes hold open on the disks of some folders, though they have no name."""
    devices = {folder.stat().st_dev for folder in folders}
    held = {}
    for pid in _below(first, dict(_stats())):
        descriptors = _PROCESSES / str(pid) / "fd"
        with suppress(OSError):
            for name in os.listdir(descriptors):
                with suppress(OSError):
                    found = os.stat(descriptors / name)
                    if stat.S_ISREG(found.st_mode) and not found.st_nlink and found.st_dev in devices:
                        held[found.st_dev, found.st_ino] = found.st_blocks * _BLOCK_BYTES
    return sum(held.values())


def breach_of_use(first: int, limits: SandboxLimits, *, memory: bool) -> Breach | None:
    """The limit that a sandbox's processes are beyond; of memory only where nothing else counts it."""
    now = use(first, memory=memory)
    if now.num_processes >= limits.num_processes:
        return Breach.PROCESSES
    if limits.cpu_s is not None and now.cpu_s > limits.cpu_s:
        return Breach.CPU
    if not memory:
        return None
    if limits.memory_bytes is not None and now.memory_bytes > limits.memory_bytes:
        return Breach.MEMORY
    return Breach.MACHINE_MEMORY if _memory_left() < limits.machine_memory_bytes else None


def breach_of_disk(first: int, folders: Sequence[Path], limits: SandboxLimits) -> Breach | None:
    """The limit that a sandbox's folders, and files that it holds open, are beyond."""
    for folder in folders:
        left = os.statvfs(folder)
        if left.f_bavail * left.f_frsize < limits.machine_disk_bytes:
            return Breach.MACHINE_DISK
    try:
        used = disk(folders) + disk_without_names(first, folders) if limits.disk_bytes is not None else 0
    except TooDeep:
        return Breach.DEPTH
    return Breach.DISK if limits.disk_bytes is not None and used > limits.disk_bytes else None


def _memory_left() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not say how much memory is available")
