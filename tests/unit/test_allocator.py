"""The allocator settings that processes are given before they start."""

import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outcrop.machine import allocator
from outcrop.machine.child import Child

FREEING = """
import os
blocks = [bytearray({mib} << 20) for _ in range({num})]
del blocks
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20)
"""


def held_after_freeing(*, num: int, mib: int, environment: dict[str, str]) -> int:
    """The MiB that a process holds after it has taken and freed so many blocks of so many MiB."""
    program = [sys.executable, "-c", FREEING.format(num=num, mib=mib)]
    return int(subprocess.run(program, env=environment, capture_output=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told anything")
def test_freed_memory_stays_with_the_process_but_for_the_largest_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    ours = allocator.for_tensors()
    assert held_after_freeing(num=40, mib=4, environment={}) < 100
    assert held_after_freeing(num=40, mib=4, environment=ours) >= 160
    assert held_after_freeing(num=4, mib=40, environment=ours) < 100


def test_whoever_has_set_the_allocator_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    assert allocator.for_tensors() == {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}


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
