"""Children of a fork server are what a start by `exec` would have made of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outcrop.machine import forking
from outcrop.machine.forking import ForkedProcess, fork
from tests.support.patience import PATIENCE_S, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fork servers are for Linux")

ITSELF = """
import json, os, random, signal, sys
import numpy
print("on stderr", file=sys.stderr)
mask = os.umask(0)
print(json.dumps({
    "argv": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "umask": mask, "session": os.getsid(0) == os.getpid(),
    "environment": os.environ.get("SAID"), "random": [random.random(), float(numpy.random.rand())],
    "open": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
    "read": "json.tool" in sys.modules, "input": sys.stdin.read(), "title": open("/proc/self/cmdline").read().split("\\0"),
    "ignored": [int(number) for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is signal.SIG_IGN],
}))
sys.exit(int(os.environ.get("CODE", 0)))
"""
ASKS_AND_GOES = """
import os, sys
from pathlib import Path
from outcrop.machine.forking import fork
child = fork(Path(sys.argv[1]), "waiting", [], environment=os.environ, streams=(0, 2, 2), folder=Path(sys.argv[2]))
print(child.pid, flush=True)
os._exit(0)
"""
WAITING = "import time\nprint('here', flush=True)\ntime.sleep(600)\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("modules")
    (place / "itself.py").write_text(ITSELF)
    (place / "waiting.py").write_text(WAITING)
    (place / "broken.py").write_text("raise ValueError('no such luck')\n")
    return place


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others than tests would rather start a child themselves than wait so long for a busy machine."""
    monkeypatch.setattr(forking, "_ANSWERS_S", PATIENCE_S)


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    place = tmp_path / "fork.sock"
    command = [sys.executable, "-m", "outcrop.machine.fork_server", "--socket", str(place), "numpy", "json.tool"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(folder)}) as process:
        eventually(place.exists)
        yield place, process
        process.kill()


@pytest.fixture
def start(
    server: tuple[Path, "subprocess.Popen[bytes]"], folder: Path, tmp_path: Path
) -> Callable[..., ForkedProcess | None]:
    def one(module: str, *arguments: str, **more: str) -> ForkedProcess | None:
        environment = {**os.environ, "PYTHONPATH": str(folder), **more}
        with (
            (tmp_path / "out").open("wb") as out,
            (tmp_path / "err").open("wb") as err,
            open(os.devnull, "rb") as nothing,
        ):
            streams = (nothing.fileno(), out.fileno(), err.fileno())
            return fork(
                server[0], module, arguments, environment=environment, streams=streams, folder=folder, umask=0o027
            )

    return one


def test_a_child_is_as_if_it_had_been_executed(
    start: Callable[..., ForkedProcess], folder: Path, tmp_path: Path
) -> None:
    seen = []
    for _ in range(2):
        assert start("itself", "--one", "two words", SAID="yes", CODE="3").wait(PATIENCE_S) == 3
        seen.append(json.loads((tmp_path / "out").read_text()))
        assert (tmp_path / "err").read_text() == "on stderr\n"
    first, second = seen
    # As with `exec`: what a shell lets its background jobs ignore, they ignore.
    ignored = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is signal.SIG_IGN]
    assert first.pop("random") != second.pop("random")
    assert first == second == {
        "argv": ["--one", "two words"], "name": "__main__", "folder": str(folder), "umask": 0o027, "session": True,
        "environment": "yes", "open": [0, 1, 2], "read": True, "input": "",
        "title": [*first["title"]], "ignored": ignored,
    }  # fmt: skip
    assert first["title"][0].endswith("-m itself --one two words")


def test_an_error_ends_a_child_with_its_trace_and_one(start: Callable[..., ForkedProcess], tmp_path: Path) -> None:
    assert start("broken").wait(PATIENCE_S) == 1
    assert (tmp_path / "err").read_text().endswith("ValueError: no such luck\n")


@pytest.mark.parametrize(("end", "code"), [("terminate", -signal.SIGTERM), ("kill", -signal.SIGKILL)])
def test_a_signal_ends_the_child_and_is_told(start: Callable[..., ForkedProcess], end: str, code: int) -> None:
    child = start("waiting")
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    getattr(child, end)()
    assert child.wait(PATIENCE_S) == child.poll() == child.returncode == code
    child.kill()  # of one that is gone: nothing happens


def test_a_child_goes_when_nobody_holds_its_connection(
    server: tuple[Path, "subprocess.Popen[bytes]"], folder: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    program = [sys.executable, "-c", ASKS_AND_GOES, str(server[0]), str(folder)]
    pid = int(subprocess.run(program, env=environment, capture_output=True, check=True).stdout)
    eventually(lambda: not is_there(pid))


def test_a_killed_server_takes_its_children_along_and_starts_no_more(
    start: Callable[..., ForkedProcess | None], server: tuple[Path, "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    child = start("waiting")
    assert child is not None
    server[1].kill()
    assert child.wait(PATIENCE_S) == -signal.SIGKILL
    assert start("waiting") is None


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "GLIBC_TUNABLES", "TRANSFORMERS_OFFLINE", "PYTHONHASHSEED"])
def test_what_libraries_would_have_read_otherwise_is_refused(
    start: Callable[..., ForkedProcess | None], name: str
) -> None:
    assert start("itself", **{name: "7"}) is None
    other = start("itself", SAID="7")
    assert other is not None
    assert other.wait(PATIENCE_S) == 0


def test_children_side_by_side_end_each_with_its_own_code(start: Callable[..., ForkedProcess]) -> None:
    children = [start("itself", CODE=str(number)) for number in range(8)]
    assert [child.wait(PATIENCE_S) for child in reversed(children)] == list(reversed(range(8)))


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
