"""Nothing in a sandbox outlives whoever asked for it, even if that is ended by `kill -9`."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.isolation.conftest import Starter, command_of, environment_of

PARENT = """
import os, sys
from pathlib import Path
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation
way, folder, marker = sys.argv[1:]
place = Path(folder)
sandbox = Sandbox(root=place / "root", opt_ml=place / "ml", limits=SandboxLimits(machine_disk_bytes=0))
python = os.path.realpath(sys.executable)
sleep = f"{python} -c 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)' {marker}"
command = ["/bin/sh", "-c", f"setsid {sleep} & {sleep} & sleep 600", marker]
program = sandbox.start(command, way=Isolation(way), stdout=os.open("/dev/null", os.O_WRONLY))
print(program.pid, program._process.pid, flush=True)
program.wait()
print(program.poll().reason, flush=True)
"""


class Parent:
    """A process that has started a program with two daemons, and waits for its end."""

    def __init__(self, who: str, way: str, sources: Path) -> None:
        self.marker = secrets.token_hex(8)
        self.folder = Path(f"/tmp/outcrop-death-{self.marker}")
        self.folder.mkdir()
        self.folder.chmod(0o777)
        *command, _ = command_of(who, sources)
        self.process = subprocess.Popen(
            [*command, "-c", PARENT, way, str(self.folder), self.marker],
            env=environment_of(sources),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first, self.outer = map(int, self.process.stdout.readline().split())
        assert settled(lambda: len(marked(self.marker)) == 3), marked(self.marker)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)


def settled(ready: Callable[[], bool]) -> bool:
    """Whether something comes to be so within the time that a slow machine needs."""
    until = time.monotonic() + 20
    while not ready():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def marked(marker: str) -> list[int]:
    """Processes of this machine with a word among their arguments, but those that this test started itself."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):
                words = (path / "cmdline").read_bytes().split(b"\0")
                if marker.encode() in words and PARENT.encode() not in words:
                    found.append(int(path.name))
    return found


@pytest.fixture
def parent(starter: Starter, way: str, sources: Path) -> Iterator[Parent]:
    started = Parent(starter.who, way, sources)
    yield started
    started.close()


def test_everything_ends_with_a_parent_that_is_killed(parent: Parent) -> None:
    parent.process.kill()
    assert settled(lambda: not marked(parent.marker) and not alive(parent.first))


def test_everything_ends_with_the_process_between(parent: Parent) -> None:
    os.kill(parent.outer, signal.SIGKILL)
    assert settled(lambda: not marked(parent.marker) and not alive(parent.first))
    assert parent.process.stdout is not None
    assert parent.process.stdout.readline() == "Its sandbox was ended from outside.\n"


def test_everything_ends_with_the_first_process(parent: Parent) -> None:
    os.kill(parent.first, signal.SIGKILL)
    assert settled(lambda: not marked(parent.marker))


def test_without_isolation_everything_ends_with_a_parent_that_is_killed(starter: Starter, sources: Path) -> None:
    parent = Parent(starter.who, "plain", sources)
    try:
        parent.process.kill()
        assert settled(lambda: not marked(parent.marker) and not alive(parent.first))
    finally:
        parent.close()
