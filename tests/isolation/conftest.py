"""Whoever starts sandboxes in these tests: this user, and an ordinary one where the tests are run by root."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
ORDINARY_USER = 54321
USABLE = """
import os, sys
sys.exit(sys.version_info < (3, 11) or not os.access(os.path.realpath(sys.executable), os.X_OK))
"""
"Whether an interpreter is new enough, and may be started again: `setpriv` starts some that the user may not."
WAYS = ("bubblewrap", "namespaces")


class Starter:
    """A process of some user that starts sandboxes and tells what became of them."""

    def __init__(self, who: str, command: list[str], environment: dict[str, str]) -> None:
        self.who = who
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """The answer to one order; `tests/support/sandbox_driver.py` knows what can be asked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        line = self._process.stdout.readline()
        assert line, "the process that starts sandboxes has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of what starts sandboxes, for users who may not read ours."""
    folder = Path(f"/tmp/outcrop-sandbox-sources-{os.getpid()}")
    package = folder / "outcrop"
    shutil.copytree(ROOT / "src/outcrop/isolation", package / "isolation", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "src/outcrop" / name, package)
    shutil.copy(ROOT / "tests/support/sandbox_driver.py", folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


def command_of(who: str, sources: Path) -> list[str]:
    """The command of the process that starts sandboxes; skips where this machine has no such user."""
    driver = str(sources / "sandbox_driver.py")
    own = "root" if os.geteuid() == 0 else "user"
    if who == own:
        return [sys.executable, "-B", driver]
    if own == "user":
        pytest.skip("the tests are not run by root")
    for interpreter in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        as_user = [
            "setpriv",
            f"--reuid={ORDINARY_USER}",
            f"--regid={ORDINARY_USER}",
            "--clear-groups",
            interpreter,
            "-B",
        ]
        tried = subprocess.run([*as_user, "-c", USABLE], capture_output=True, check=False)
        if tried.returncode == 0:
            return [*as_user, driver]
    pytest.skip("an ordinary user may read no Python 3.11 here")


def environment_of(sources: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(sources), "TMPDIR": "/tmp"}


@pytest.fixture(scope="session", params=["root", "user"])
def starter(request: pytest.FixtureRequest, sources: Path) -> Iterator[Starter]:
    """Somebody who starts sandboxes."""
    started = Starter(request.param, command_of(request.param, sources), environment_of(sources))
    yield started
    started.close()


@pytest.fixture(scope="session", params=WAYS)
def way(request: pytest.FixtureRequest, starter: Starter) -> str:
    """A way to keep a program apart; skips where this machine lacks it."""
    answer = starter.ask(way=request.param, program="print('inside')")
    if "trouble" in answer:
        pytest.skip(f"{request.param}: {answer['trouble']}")
    assert answer["output"] == "inside\n", answer
    chosen: str = request.param
    return chosen
