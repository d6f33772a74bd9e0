"""Watches over a sandboxed program from outside: what it uses of memory, processes, processor time and disk.

Each says when it is to look again: soon where a program could come to a limit soon, seldom where the kernel holds the
limit or much is left, and never so often that looking takes more than a hundredth of a processor.
"""

import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import NamedTuple

from outcrop.isolation.control_groups import ControlGroup
from outcrop.isolation.limits import Breach, SandboxLimits
from outcrop.isolation.processes import SandboxProcesses, SandboxUse
from outcrop.isolation.trees import TooDeep, walk

_PROCESSES = Path("/proc")
_SMALLEST_FILE_BYTES = 4096
_BLOCK_BYTES = 512
_LEAST_S, _MOST_S = 0.1, 0.5
"Between two looks at what is used, at least and at most, but for looks that take long."
_LONGEST_S = 2.0
_PAUSES = 100
"A look that takes long is followed by a pause of as many times its processor time."
_BYTES_PER_S, _FORKS_PER_S = 4 * 1024**3, 20_000
"That one processor can take and start at most, as it is supposed here."
_FREE_S, _WALK_S, _LONGEST_WALK_S = 0.5, 5.0, 30.0
"Between two looks at the free space; between two walks over a program's files at least, and at most for large trees."
_HASTY_PAUSES = 20
"The pause after a walk where the free space says that a limit may be near."
_MANY_FILES = 500
"""New files and folders since the last walk that bring the next one, as soon as its pause allows: each folder of a
chain is removed by itself, which takes some disks 6 ms."""


class UseWatch:
    """A watch over memory, processes and processor time."""

    def __init__(
        self,
        processes: SandboxProcesses,
        limits: SandboxLimits,
        *,
        group: ControlGroup | None,
        processes_held: bool,
    ) -> None:
        """`processes_held` says whether the kernel holds the number of processes, so that seeing it has time."""
        self._processes = processes
        self._limits = limits
        self._group = group
        self._processes_held = processes_held or group is not None
        self.pause_s = 0.0
        "Until the next look."

    def breach(self) -> Breach | None:
        """The limit that is broken."""
        began = time.thread_time()
        if self._group is not None and self._limits.cpu_s is None:
            found, headroom_s = self._breach_of_group(self._group), inf
        else:
            found, headroom_s = self._breach_of_processes()
        took_s = time.thread_time() - began
        self.pause_s = min(max(_LEAST_S, min(headroom_s, _MOST_S), _PAUSES * took_s), _LONGEST_S)
        return found

    def _breach_of_group(self, group: ControlGroup) -> Breach | None:
        if group.out_of_memory():
            return Breach.MEMORY
        # The sandbox's first process is one of the group.
        return Breach.PROCESSES if group.num_processes() > self._limits.num_processes else None

    def _breach_of_processes(self) -> tuple[Breach | None, float]:
        """The limit that is broken, and the seconds in which the next one could be."""
        limits, now = self._limits, self._processes.use()
        headroom_s = _headroom_s(now, limits, processes=not self._processes_held)
        if self._group is not None and self._group.out_of_memory():
            return Breach.MEMORY, headroom_s
        if now.num_processes >= limits.num_processes:
            return Breach.PROCESSES, headroom_s
        if limits.cpu_s is not None and now.cpu_s > limits.cpu_s:
            return Breach.CPU, headroom_s
        if self._group is not None:
            return None, headroom_s
        if self._holds_more_than(limits.memory_bytes, now):
            return Breach.MEMORY, headroom_s
        machine_left = _memory_left() - limits.machine_memory_bytes
        breach = Breach.MACHINE_MEMORY if machine_left < 0 else None
        return breach, min(headroom_s, _memory_headroom_s(now, limits, machine_left))

    def _holds_more_than(self, memory_bytes: int | None, now: SandboxUse) -> bool:
        if memory_bytes is None or now.resident_bytes <= memory_bytes:
            return False
        # Only now, for it takes longer: without what several share.
        return self._processes.held_bytes() > memory_bytes


def _headroom_s(now: SandboxUse, limits: SandboxLimits, *, processes: bool) -> float:
    """The seconds in which limits of processor time and of processes could be reached."""
    num_processors = os.cpu_count() or 1
    cpu_s = inf if limits.cpu_s is None else (limits.cpu_s - now.cpu_s) / num_processors
    left = limits.num_processes - now.num_processes
    return min(cpu_s, left / (_FORKS_PER_S * num_processors) if processes else inf)


def _memory_headroom_s(now: SandboxUse, limits: SandboxLimits, machine_left: int) -> float:
    left = machine_left if limits.memory_bytes is None else min(machine_left, limits.memory_bytes - now.resident_bytes)
    return left / (_BYTES_PER_S * (os.cpu_count() or 1))


def _memory_left() -> int:
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable"):
                return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not say how much memory is available")


class FreeSpace(NamedTuple):
    """The space that a device has left."""

    num_bytes: int
    num_files: int
    "Files and folders that it may still take; 0 where it does not say."

    @property
    def counted_bytes(self) -> int:
        """Free bytes, and those that the files which it may still take would count."""
        return self.num_bytes + self.num_files * _SMALLEST_FILE_BYTES


class DiskWatch:
    """A watch over the disk of a sandbox's folders.

    What is free there is looked at often. All files are walked over where so much less is free that the limit may be
    near, or when some time has passed.
    """

    def __init__(self, processes: SandboxProcesses, folders: Sequence[Path], limits: SandboxLimits) -> None:
        self._processes = processes
        self._folders = folders
        self._limits = limits
        self._free_before: dict[int, FreeSpace] = {}
        self._left = 0
        "Bytes that the program had left at the last walk."
        self._walk_at = self._hasty_walk_at = self._calm_walk_at = -inf
        self.pause_s = _FREE_S
        "Until the next look."

    def breach(self) -> Breach | None:
        """The limit that is broken. Raises OSError for folders that are not there."""
        limits = self._limits
        for folder in self._folders:
            left = os.statvfs(folder)
            if left.f_bavail * left.f_frsize < limits.machine_disk_bytes:
                return Breach.MACHINE_DISK
        if limits.disk_bytes is None or not self._is_to_walk():
            return None
        return self.breach_of_files()

    def breach_of_files(self) -> Breach | None:
        """The limit that the files break, walked over now."""
        most = self._limits.disk_bytes
        if most is None:
            return None
        began, free = time.thread_time(), self._free()
        try:
            used = disk(self._folders) + disk_without_names(self._processes.pids(), self._folders)
        except TooDeep:
            return Breach.DEPTH
        took_s, now = time.thread_time() - began, time.monotonic()
        self._free_before, self._left = free, most - used
        self._walk_at = now + min(max(_WALK_S, _PAUSES * took_s), _LONGEST_WALK_S)
        self._hasty_walk_at = now + _HASTY_PAUSES * took_s
        self._calm_walk_at = now + _PAUSES * took_s
        return Breach.DISK if used > most else None

    def _is_to_walk(self) -> bool:
        now = time.monotonic()
        if now >= self._walk_at:
            return True
        free = self._free()
        pairs = [(before, free.get(device, before)) for device, before in self._free_before.items()]
        files = sum(max(0, before.num_files - left.num_files) for before, left in pairs)
        gone = sum(max(0, before.counted_bytes - left.counted_bytes) for before, left in pairs)
        if now >= self._calm_walk_at and files >= _MANY_FILES:
            return True
        return now >= self._hasty_walk_at and gone >= self._left // 2

    def _free(self) -> dict[int, FreeSpace]:
        """The free space of each device."""
        found = {}
        for folder in self._folders:
            told = os.statvfs(folder)
            found[os.stat(folder).st_dev] = FreeSpace(told.f_bfree * told.f_frsize, told.f_ffree)
        return found


def disk(folders: Iterable[Path]) -> int:
    """Bytes on disk of everything below some folders. A file with several names counts with each."""
    return sum(
        max(entry.stat.st_blocks * _BLOCK_BYTES, _SMALLEST_FILE_BYTES) for folder in folders for entry in walk(folder)
    )


def disk_without_names(pids: Iterable[int], folders: Iterable[Path]) -> int:
    """Bytes of files that processes hold open on the disks of some folders, though they have no name."""
    devices = {folder.stat().st_dev for folder in folders}
    held = {}
    for pid in pids:
        descriptors = _PROCESSES / str(pid) / "fd"
        with suppress(OSError):
            for name in os.listdir(descriptors):
                with suppress(OSError):
                    found = os.stat(descriptors / name)
                    if stat.S_ISREG(found.st_mode) and not found.st_nlink and found.st_dev in devices:
                        held[found.st_dev, found.st_ino] = found.st_blocks * _BLOCK_BYTES
    return sum(held.values())
