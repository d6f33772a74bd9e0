"""Processes of tests, forked from one that has read the libraries: each saves seconds of importing them.

What is started so runs the same modules with the same arguments. Where tests look at the start itself, they start
processes in the ordinary way.
"""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO

from outcrop.machine.forking import ChildProcess, fork
from tests.support.patience import PATIENCE_S, eventually

_READ = (
    "outcrop.inference.engine", "outcrop.inference.door", "outcrop.inference.unix_http", "outcrop.customization.run",
    "outcrop.worker.work", "outcrop.house", "outcrop.cli.commands", "outcrop.cli.supervisor",
    "transformers.models.llama.modeling_llama", "transformers.models.qwen2.modeling_qwen2",
)  # fmt: skip


@cache
def fork_server() -> Path:
    """The socket of this test process's fork server, which is started when it is first wanted."""
    place = Path(tempfile.mkdtemp(prefix="outcrop-forks-")) / "fork.sock"
    server = subprocess.Popen([sys.executable, "-m", "outcrop.machine.fork_server", "--socket", str(place), *_READ])
    atexit.register(_end, server)
    eventually(lambda: place.exists() or server.poll() is not None)
    assert server.poll() is None, "the fork server of the tests has ended"
    return place


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.kill()
    server.wait()


def start(
    module: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
) -> ChildProcess:
    """A module as `python -m` would start it. What it says goes where this process's words go, unless it is caught."""
    environment = dict(os.environ if env is None else env)
    with open(os.devnull, "rb") as nothing:
        streams = (nothing.fileno(), stdout.fileno() if stdout else 1, stderr.fileno() if stderr else 2)
        forked = fork(fork_server(), module, arguments, environment=environment, streams=streams, folder=cwd)
        if forked is not None:
            return forked
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, env=environment, cwd=cwd, stdin=nothing, stdout=stdout, stderr=stderr)


def run(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, check: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run a module to its end as `python -m` would, and catch what it says."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = start(module, *arguments, env=env, cwd=cwd, stdout=out, stderr=err).wait(PATIENCE_S)
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode())
    ended = subprocess.CompletedProcess([module, *arguments], code, *said)
    assert not (check and code), f"{module} ended with {code}: {ended.stderr}"
    return ended
