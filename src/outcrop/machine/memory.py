"""Memory of this machine: all there is, what is free, and what a process holds. Reads the kernel's figures only."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from outcrop.machine.environment import inherited

_PROCESSES = Path("/proc")
_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"A container's own limit, of version 2 and of version 1."
_NO_LIMIT = 2**63
_START = 19
"Place of a process's start among the fields that follow its name in /proc/PID/stat."


def total() -> int:
    """Bytes of memory that this machine has, or this container may use."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _container_limit())


def available() -> int:
    """Bytes that new processes may use: what the kernel calls available, or all memory where it does not say."""
    try:
        lines = _MEMINFO.read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return total()
    return min(free, _container_limit())


def resident(pid: int) -> int | None:
    """Bytes of memory that a process holds now; None for one that is gone."""
    if sys.platform != "linux":
        told = _asked_of_ps(pid, "rss=")
        return int(told) * 1024 if told else None
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None


def resident_tree(pid: int) -> int:
    """Bytes that a process and all that it has started hold now. What they share is counted in each."""
    return sum(resident(each) or 0 for each in _tree(pid))


def _tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:  # which grows meanwhile
        found += children.get(each, [])
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Every process of this machine, and the one that started it."""
    if sys.platform != "linux":
        lines = subprocess.run(
            ["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False, env=inherited()
        ).stdout
        for line in lines.splitlines():
            child, parent = line.split()
            yield int(child), int(parent)
        return
    for folder in _PROCESSES.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError, ValueError):  # it ended meanwhile
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def started(pid: int) -> str | None:
    """When a process was started, in the system's own words; None for one that is gone.

    Numbers of processes are given again: number and start together are those of one process.
    """
    if sys.platform != "linux":
        return _asked_of_ps(pid, "lstart=") or None
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else fields[_START - 1]


def _container_limit() -> int:
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else _NO_LIMIT
    return _NO_LIMIT


def _asked_of_ps(pid: int, column: str) -> str:
    return subprocess.run(
        ["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False, env=inherited()
    ).stdout.strip()
