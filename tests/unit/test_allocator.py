"""What the processes are told before they start."""

import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outcrop.cli import allocator
from outcrop.machine.child import Child

FREEING = """
import os
blocks = [bytearray({mib} << 20) for _ in range({num})]
del blocks
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20)
"""


def held(program: str, environment: dict[str, str]) -> int:
    """What the program prints: the MiB that it holds at its end."""
    return int(subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout)


def held_after_freeing(*, num: int, mib: int, environment: dict[str, str]) -> int:
    """The same, of one that has taken and freed so many blocks of so many MiB."""
    return held(FREEING.format(num=num, mib=mib), environment)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told anything")
def test_freed_memory_stays_with_the_process_but_for_the_largest_blocks() -> None:
    ours = allocator.for_worker()
    assert held_after_freeing(num=40, mib=4, environment={}) < 100
    assert held_after_freeing(num=40, mib=4, environment=ours) >= 160
    assert held_after_freeing(num=4, mib=40, environment=ours) < 100


THREADS = """
import os, threading
turn = threading.Lock()
def work():
    with turn:
        kept = [bytearray(100_000) for _ in range(100)]
        ends.append(bytearray(100_000))
        del kept
    done.wait()
ends, done = [], threading.Barrier(17)
threads = [threading.Thread(target=work) for _ in range(16)]
[thread.start() for thread in threads]
done.wait()
[thread.join() for thread in threads]
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told anything")
def test_what_many_threads_freed_is_not_kept_by_each_of_them() -> None:
    assert held(THREADS, allocator.for_server()) < held(THREADS, {}) / 2


def test_whoever_has_set_the_allocator_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    assert allocator.for_worker() == {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}


def test_a_child_starts_with_what_it_is_given_beside_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "kept")
    log = tmp_path / "log"
    printing = ["-n1", "-r1", "-s", "import os; print(os.environ['OURS'], os.environ['GIVEN'])", "pass"]
    child = Child("child", "timeit", printing, log=log, environment={"GIVEN": "too"}, is_ready=lambda _: True)
    child.keep_alive()
    while child.alive:
        time.sleep(0.01)
    assert log.read_text().startswith("kept too\n")
