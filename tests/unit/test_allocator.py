"""What the worker's process is told before it starts."""

import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outcrop.cli import allocator
from outcrop.cli.child import Child

HELD_AFTER_FREEING = """
import os
block = bytearray(100 << 20)
del block
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told anything")
def test_freed_memory_stays_with_the_process() -> None:
    def held(environment: dict[str, str]) -> int:
        command = [sys.executable, "-c", HELD_AFTER_FREEING]
        return int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    assert held({}) < 100 <= held(allocator.environment())


def test_whoever_has_set_the_allocator_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
    assert allocator.environment() == {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}


def test_a_child_starts_with_what_it_is_given_beside_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "kept")
    log = tmp_path / "log"
    printing = ["-n1", "-r1", "-s", "import os; print(os.environ['OURS'], os.environ['GIVEN'])", "pass"]
    child = Child("child", "timeit", printing, log=log, environment={"GIVEN": "too"})
    child.keep_alive()
    while child.alive:
        time.sleep(0.01)
    assert log.read_text().startswith("kept too\n")
