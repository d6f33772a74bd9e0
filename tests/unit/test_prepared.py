"""A process that was begun early runs what it is told, and ends where nobody tells it anything."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from outcrop.machine import prepared
from outcrop.machine.child import Child

NAME = "script_of_the_test"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / f"{NAME}.py"
    path.write_text(
        "import json, os, sys\n"
        "def main(arguments):\n"
        "    print(json.dumps([arguments, sys.argv, sys.stdin.read(), os.getsid(0) == os.getpid()]), flush=True)\n"
        "    return 3\n"
        "if __name__ == '__main__':\n"
        "    print('executed', flush=True)\n"
        "    sys.exit(main(sys.argv[1:]))\n"
    )
    yield path
    prepared.drop()


def test_it_runs_the_modules_main_with_the_arguments_and_the_log_that_it_is_told(script: Path, tmp_path: Path) -> None:
    prepared.begin(NAME)
    child = Child(NAME, NAME, ["--home", "a place"], log=tmp_path / "log", is_ready=lambda _: False)
    child.keep_alive()
    pid = child.pid
    assert pid is not None
    assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None
    child.keep_alive()
    told = json.loads((tmp_path / "log").read_text())
    assert told == [["--home", "a place"], [NAME, "--home", "a place"], "", True]
    assert child.failures == 1
    child.end()


def test_it_is_taken_once(script: Path, tmp_path: Path) -> None:
    prepared.begin(NAME)
    with (tmp_path / "log").open("ab") as log:
        process = prepared.take(NAME, [], log)
        assert process is not None
        assert process.wait() == 3
        assert prepared.take(NAME, [], log) is None


def test_one_that_nobody_takes_is_ended(script: Path) -> None:
    prepared.begin(NAME)
    (process,) = prepared._begun.values()
    prepared.drop()
    assert process.returncode is not None
    assert not prepared._begun


def test_one_that_cannot_read_its_module_is_not_taken_for_one_that_runs(script: Path, tmp_path: Path) -> None:
    script.write_text("raise SystemExit('no such library')")
    prepared.begin(NAME)
    (process,) = prepared._begun.values()
    process.wait()
    with (tmp_path / "log").open("ab") as log:
        assert prepared.take(NAME, [], log) is None


def test_it_ends_with_the_process_that_began_it(script: Path) -> None:
    begins = f"from outcrop.machine import prepared; prepared.begin({NAME!r}); print(*[p.pid for p in prepared._begun.values()])"
    asked = subprocess.run([sys.executable, "-c", begins], capture_output=True, text=True, check=True)
    pid = int(asked.stdout)
    if psutil.pid_exists(pid):
        psutil.wait_procs([psutil.Process(pid)], timeout=30)
    assert not psutil.pid_exists(pid)
