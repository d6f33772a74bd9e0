"""The processes of a sandbox, seen from outside and found by who started whom.

A look reads a file for each process of the sandbox, and little of the machine's others: those are looked at when they
are new. The kernel numbers processes in turn, so while the newest number stays the same nothing new is there.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

_PROCESSES = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES, _WAITED_FOR, _THREADS, _STARTED, _PAGES = 1, slice(11, 15), slice(13, 15), 17, 19, 21
"Places among the fields that follow a process's name in /proc/PID/stat."
_LINE_BYTES = 4096
_LISTED_S = 1.0
"The machine's processes are listed as often as this though the newest number stays: some kernels do not tell it."
_ANEW_S = 10.0
"As often everything known is forgotten: a number may have been given away again."


@dataclass(frozen=True, kw_only=True)
class SandboxUse:
    """Use that the processes of a sandbox make of the machine now."""

    num_processes: int
    "Processes and threads."
    resident_bytes: int
    "Memory that each has, added up: what several share counts for each, so it is never less than what they hold."
    cpu_s: float


class SandboxProcesses:
    """The processes below a sandbox's first one."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._own: dict[int, bytes] = {}
        "Each process of the sandbox, and when it was started: another one may get its number."
        self._others = {0}
        self._unknown: dict[int, bytes] = {}
        "Processes whose parents were not found, with those: they end, or have other parents at the next look."
        self._newest = b""
        self._listed_at = self._anew_at = -inf

    def use(self) -> SandboxUse:
        """Use that they make. Those that were waited for count with whoever waited, at last with the first process."""
        found = list(self._fields())
        waited_for = (_read(self._first) or [b"0"] * (_PAGES + 1))[_WAITED_FOR]
        ticks = sum(int(number) for fields in found for number in fields[_TIMES]) + sum(map(int, waited_for))
        return SandboxUse(
            num_processes=sum(int(fields[_THREADS]) for fields in found),
            resident_bytes=sum(int(fields[_PAGES]) for fields in found) * _PAGE_BYTES,
            cpu_s=ticks / _TICKS_PER_S,
        )

    def held_bytes(self) -> int:
        """Memory that they hold for themselves, and the most that one of them holds of memory they may share."""
        own, shared = 0, 0
        for pid in self.pids():
            with suppress(OSError, ValueError):
                lines = (_PROCESSES / str(pid) / "status").read_text().splitlines()
                told = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon", "RssShmem")))
                own += int(told.get("RssAnon", "0").split()[0]) * 1024
                shared = max(shared, int(told.get("RssShmem", "0").split()[0]) * 1024)
        return own + shared

    def pids(self) -> list[int]:
        """Their numbers, as this process sees them."""
        self._find()
        return list(self._own)

    def _fields(self) -> Iterator[list[bytes]]:
        for pid in self.pids():
            fields = _read(pid)
            if fields is not None and fields[_STARTED] == self._own[pid]:
                yield fields
            else:
                del self._own[pid]
                self._listed_at = -inf

    def _find(self) -> None:
        now, newest = time.monotonic(), _newest()
        if now >= self._anew_at:
            self._own, self._others, self._anew_at = {}, {0}, now + _ANEW_S
        elif newest == self._newest and not self._unknown and now < self._listed_at + _LISTED_S:
            return
        self._newest, self._listed_at = newest, now
        there = {int(name) for name in os.listdir(_PROCESSES) if name.isdigit()}
        self._others &= there | {0}
        unknown = {pid: fields for pid in sorted(there - self._own.keys() - self._others) if (fields := _read(pid))}
        self._tell_apart(unknown)

    def _tell_apart(self, unknown: dict[int, list[bytes]]) -> None:
        """Say of processes whether they are the sandbox's, parents before their children."""
        moved = True
        while unknown and moved:
            moved = False
            for pid, fields in list(unknown.items()):
                parent = int(fields[_PARENT])
                if parent == self._first or parent in self._own:
                    self._own[pid] = fields[_STARTED]
                elif parent in self._others or pid == self._first:
                    self._others.add(pid)
                else:
                    continue
                del unknown[pid]
                moved = True
        parents = {pid: fields[_PARENT] for pid, fields in unknown.items()}
        # Twice the same parent, and nobody there by its number: this process is not shown it, so it is no ours.
        self._others |= {pid for pid, parent in parents.items() if self._unknown.get(pid) == parent}
        self._unknown = {pid: parent for pid, parent in parents.items() if pid not in self._others}


def _newest() -> bytes:
    """The number that the kernel gave to a process last."""
    return (_content("loadavg") or b"").rpartition(b" ")[2]


def _read(pid: int) -> list[bytes] | None:
    """The fields that follow a process's name; None once it has ended."""
    content = _content(f"{pid}/stat")
    return content[content.rindex(b")") + 2 :].split() if content else None


def _content(path: str) -> bytes | None:
    with suppress(OSError):
        descriptor = os.open(f"{_PROCESSES}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _LINE_BYTES)
        finally:
            os.close(descriptor)
    return None
