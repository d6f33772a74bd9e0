"""A control group of one sandbox, where this process may make one: the kernel then holds memory and processes itself.

Both versions are understood. Where neither can be used, `make` gives None, and the limits are watched instead.
"""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

_TOP = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_REMOVING_S = 2.0


class ControlGroup:
    """Folders of the kernel's that hold the processes of one sandbox to its limits."""

    def __init__(self, folders: list[Path], events: Path) -> None:
        """`folders`: that of memory first, that of processes last, or the only one."""
        self._folders = folders
        self._events = events

    def add(self, pid: int) -> None:
        """Take in a process, and with it everything that it will start."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def out_of_memory(self) -> bool:
        """Whether the kernel has ended a process because the limit of memory was reached."""
        with suppress(OSError):
            told = dict(line.split() for line in self._events.read_text().splitlines())
            return int(told.get("oom_kill", "0")) > 0
        return False

    def num_processes(self) -> int:
        """Number of processes and threads in it, the sandbox's first process among them."""
        return int((self._folders[-1] / "pids.current").read_text())

    def remove(self) -> None:
        """Give the folders back; the kernel lets go of them once the last process is gone."""
        until = time.monotonic() + _REMOVING_S
        for folder in self._folders:
            while folder.exists() and time.monotonic() < until:
                try:
                    folder.rmdir()
                except OSError:
                    time.sleep(0.01)


def make(memory_bytes: int, num_processes: int, *, top: Path = _TOP, own: Path = _OWN) -> ControlGroup | None:
    """A control group with these limits; None where this process may make none that holds both.

    `top` is where the kernel shows its groups, `own` says which are those of this process.
    """
    name = f"outcrop-{os.getpid()}-{secrets.token_hex(8)}"
    groups = dict(_groups(own))
    for candidate in _version_2(top, groups.get("")) + _version_1(top, groups):
        folders = [parent / name for parent in candidate]
        _sweep(candidate)
        try:
            for folder in folders:
                folder.mkdir()
            return _limited(folders, memory_bytes, num_processes)
        except OSError:
            for folder in folders:
                with suppress(OSError):
                    folder.rmdir()
    return None


def _sweep(parents: list[Path]) -> None:
    """Remove groups of processes that were killed before they could do it. The kernel keeps those that are in use."""
    for parent in parents:
        for left in parent.glob("outcrop-*-*"):
            if not Path("/proc", left.name.split("-")[1]).exists():
                with suppress(OSError):
                    left.rmdir()


def _limited(folders: list[Path], memory_bytes: int, num_processes: int) -> ControlGroup:
    memory, processes = folders[0], folders[-1]
    # One more than the watch ends a program at, and the first process of the sandbox.
    (processes / "pids.max").write_text(str(num_processes + 2))
    if len(folders) == 1:
        (memory / "memory.max").write_text(str(memory_bytes))
        with suppress(OSError):
            (memory / "memory.swap.max").write_text("0")
        return ControlGroup(folders, memory / "memory.events")
    (memory / "memory.limit_in_bytes").write_text(str(memory_bytes))
    with suppress(OSError):
        (memory / "memory.memsw.limit_in_bytes").write_text(str(memory_bytes))
    return ControlGroup(folders, memory / "memory.oom_control")


def _groups(own: Path) -> list[tuple[str, str]]:
    """Groups of a process: the controllers of version 1 with their paths, and "" with that of version 2."""
    found = []
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found += [(controller, path) for controller in controllers.split(",")]
    return found


def _version_2(top: Path, path: str | None) -> list[list[Path]]:
    """Places for a group: below our own, or beside it, since a group that holds processes has no controllers below."""
    if path is None or not (top / "cgroup.controllers").exists():
        return []
    own = top / path.lstrip("/")
    return [[own]] if own == top else [[own], [own.parent]]


def _version_1(top: Path, own: dict[str, str]) -> list[list[Path]]:
    if not {"memory", "pids"} <= own.keys():
        return []
    folders = [top / controller / own[controller].lstrip("/") for controller in ("memory", "pids")]
    return [folders] if all(os.access(folder, os.W_OK) for folder in folders) else []
