"""The watch over a sandbox: which processes are its own, and how soon it looks again."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from outcrop.isolation import control_groups, processes, watching
from outcrop.isolation.limits import Breach, SandboxLimits
from outcrop.isolation.processes import SandboxProcesses
from outcrop.isolation.watching import DiskWatch, FreeSpace, UseWatch
from tests.support.patience import eventually

GB = 1024**3
PARENT = """
import subprocess, sys
children = []
for line in sys.stdin:
    if line == "more\\n":
        children.append(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE))
    else:
        ended = children.pop()
        ended.stdin.close()
        ended.wait()
    print(len(children), flush=True)
"""


class Family:
    """A process whose children come and go as they are told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def tell(self, word: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        return int(self.process.stdout.readline())

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()


@pytest.fixture
def family() -> Iterator[Family]:
    started = Family()
    yield started
    started.close()


def test_children_that_come_and_go_are_counted(family: Family) -> None:
    own = SandboxProcesses(family.process.pid)
    assert own.use().num_processes == 0
    for word, number in (("more", 1), ("more", 2), ("less", 1), ("more", 2), ("less", 1), ("less", 0)):
        assert family.tell(word) == number
        assert own.use().num_processes == number
        assert len(own.pids()) == number


def test_children_are_found_where_the_kernel_tells_no_newest_number(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_newest", lambda: b"0")
    own = SandboxProcesses(family.process.pid)
    own.use()
    family.tell("more")
    until = time.monotonic() + 20
    while own.use().num_processes != 1:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_memory_and_time_are_those_of_all_below(family: Family) -> None:
    own = SandboxProcesses(family.process.pid)
    for number in (1, 2):
        family.tell("more")
        least = number * 4 * 1024**2  # an interpreter holds more than 4 MiB once it has started
        eventually(partial(_holds_more, own, least))
    assert 0 < own.held_bytes() <= own.use().resident_bytes
    before = own.use().cpu_s
    family.tell("less")
    assert own.use().cpu_s >= before  # its parent has waited for it


def test_a_process_whose_parent_is_not_shown_is_nobodys() -> None:
    own = SandboxProcesses(1_000)
    stat = [b"0"] * 52
    stat[1] = b"999999"
    own._tell_apart({5: stat})
    assert (own._unknown, own._others) == ({5: b"999999"}, {0})
    own._tell_apart({5: stat})
    assert (own._unknown, own._others) == ({}, {0, 5})


def test_threads_count(monkeypatch: pytest.MonkeyPatch) -> None:
    own = SandboxProcesses(os.getppid())
    monkeypatch.setattr(own, "pids", lambda: own._own and [os.getpid()])
    own._find()
    before = own.use().num_processes
    stop = threading.Event()
    waiting = [threading.Thread(target=stop.wait) for _ in range(5)]
    for thread in waiting:
        thread.start()
    assert own.use().num_processes == before + 5
    stop.set()
    for thread in waiting:
        thread.join()


def watch_of(family: Family, *, held: bool = True, **limits: int) -> UseWatch:
    processes_ = SandboxProcesses(family.process.pid)
    made = SandboxLimits(**{"machine_memory_bytes": 0, **limits})
    return UseWatch(processes_, made, group=None, processes_held=held)


def test_it_looks_again_soon_only_where_a_limit_is_near(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_memory_left", lambda: 1_000 * GB)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)
    family.tell("more")

    def pause_s(*, held: bool = True, **limits: int) -> float:
        watch = watch_of(family, held=held, **limits)
        assert watch.breach() is None
        return watch.pause_s

    assert pause_s(memory_bytes=100 * GB) == 0.5
    assert pause_s(memory_bytes=1 * GB) == pytest.approx(0.125, abs=0.02)
    assert pause_s(memory_bytes=200 * 1024**2) == 0.1
    assert pause_s(memory_bytes=100 * GB, machine_memory_bytes=999 * GB) == pytest.approx(0.125, abs=0.02)
    assert pause_s(memory_bytes=100 * GB, num_processes=2) == 0.5
    assert pause_s(memory_bytes=100 * GB, held=False) == 0.1
    assert pause_s(memory_bytes=100 * GB, cpu_s=100) == 0.5


def test_a_look_that_takes_long_is_followed_by_a_long_pause(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.008, 1.0, 1.5])
    monkeypatch.setattr(time, "thread_time", lambda: next(times))
    watch = watch_of(family, memory_bytes=GB // 4)
    watch.breach()
    assert watch.pause_s == pytest.approx(0.8)
    watch.breach()
    assert watch.pause_s == 2.0


def test_a_group_is_asked_for_what_the_kernel_counts(family: Family, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    (tmp_path / "own").write_text("0::/\n")
    group = control_groups.make(GB, 10, top=tmp_path, own=tmp_path / "own")
    assert group is not None
    (place,) = (each for each in tmp_path.iterdir() if each.is_dir())
    (place / "pids.current").write_text("10\n")
    watch = UseWatch(
        SandboxProcesses(family.process.pid), SandboxLimits(num_processes=10), group=group, processes_held=False
    )
    assert (watch.breach(), watch.pause_s) == (None, 0.5)
    (place / "pids.current").write_text("11\n")
    assert watch.breach() is Breach.PROCESSES
    (place / "memory.events").write_text("oom_kill 1\n")
    assert watch.breach() is Breach.MEMORY


class MovedDisk:
    """The free space of a disk, and a clock, that are moved."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free, self.now, self.walks = 100 * GB, 0.0, 0
        self.folder = folder
        self.watch = DiskWatch(
            SandboxProcesses(os.getpid()), [folder], SandboxLimits(disk_bytes=GB, machine_disk_bytes=0)
        )
        monkeypatch.setattr(self.watch, "_free", lambda: {0: FreeSpace(self.free, 0)})
        monkeypatch.setattr(watching, "disk", self._walk)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "thread_time", lambda: self.now)
        self.used, self.takes_s = 0, 0.0

    def _walk(self, _folders: object) -> int:
        self.walks += 1
        self.now += self.takes_s
        return self.used


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovedDisk:
    return MovedDisk(tmp_path, monkeypatch)


def test_files_are_walked_over_when_the_free_space_says_so(disk: MovedDisk) -> None:
    assert disk.watch.breach() is None
    for _ in range(4):
        disk.now += 0.5
        assert disk.watch.breach() is None
    assert disk.walks == 1
    disk.free -= GB // 2
    disk.used = GB // 2
    assert (disk.watch.breach(), disk.walks) == (None, 2)
    disk.free -= GB // 4  # half of what was left at the last walk
    disk.used = GB + 1
    assert (disk.watch.breach(), disk.walks) == (Breach.DISK, 3)


def test_files_are_walked_over_after_some_time_whatever_the_free_space_says(disk: MovedDisk) -> None:
    disk.watch.breach()
    disk.now, disk.free, disk.used = 5.0, 200 * GB, 2 * GB
    assert disk.watch.breach() is Breach.DISK


def test_a_walk_over_a_large_tree_is_seldom_made(disk: MovedDisk) -> None:
    disk.takes_s = 0.2
    disk.watch.breach()
    disk.now += 19
    assert (disk.watch.breach(), disk.walks) == (None, 1)
    disk.free -= GB  # a limit may be near: after a twentieth of the time, not of a hundredth
    assert (disk.watch.breach(), disk.walks) == (None, 2)
    disk.now += 3.9
    disk.free -= GB
    assert (disk.watch.breach(), disk.walks) == (None, 2)
    disk.now += 0.2
    assert (disk.watch.breach(), disk.walks) == (None, 3)


def _holds_more(own: SandboxProcesses, least: int) -> bool:
    return own.use().resident_bytes > least
