"""Places of this user alone: what others may have prepared is refused, what was left open is closed."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from outcrop import private
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.patience import PATIENCE_S

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> object:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_folder_is_closed_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    assert mode_of(private.private_folder(tmp_path / "made")) == 0o700


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "place").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(private.NotPrivate, match="place: a link"):
        private.private_folder(tmp_path / "place")


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "place").symlink_to(tmp_path / "nowhere")
    with pytest.raises(private.NotPrivate, match="place: a link"):
        private.private_folder(tmp_path / "place")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o740, 0o704, 0o777, 0o1777])
def test_a_folder_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place").chmod(mode)
    with pytest.raises(private.NotPrivate, match=r"open to others on this machine .* chmod 700"):
        private.private_folder(tmp_path / "place")


@as_root
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir(mode=0o700)
    os.chown(tmp_path / "place", NOBODY, NOBODY)
    with pytest.raises(private.NotPrivate, match="belongs to another user"):
        private.private_folder(tmp_path / "place")


def test_a_store_is_closed_to_others_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    store = Store.open(Settings(home=tmp_path / "home"))
    with store.objects.incoming() as incoming:
        incoming.write(b"x")
        open_files = [path for path in (tmp_path / "home").rglob("*") if path.lstat().st_mode & 0o077]
    store.close()
    assert open_files == []
    assert mode_of(tmp_path / "home") == 0o700


def test_what_an_older_home_left_open_is_closed_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / "home"
    for name in ("models/m1/adapter.safetensors", "runs/r/events.jsonl", "logs/server.log", "hub/q/config.json"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("{}")
    (home / "notes.txt").write_text("of the user")
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (home / "models" / "link").symlink_to(home / "notes.txt")
    Store.open(Settings(home=home)).close()
    left = [path for path in (home, *home.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert left == [home / "notes.txt"]  # what is not ours is not touched, nor reached: the home itself is closed
    assert f"{home}: 12 files and folders in it were open to others" in caplog.text
    caplog.clear()
    Store.open(Settings(home=home)).close()
    assert caplog.text == ""


def test_sockets_lie_in_the_home() -> None:
    with tempfile.TemporaryDirectory(prefix="h") as name:
        home = Path(name)
        assert private.socket_folder(home) == private.make_socket_folder(home) == home / "sockets"
        assert list((home / "sockets").iterdir()) == []


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A home whose path is too long for sockets."""
    home = tmp_path / ("d" * 60) / ("e" * 60)
    home.mkdir(parents=True, mode=0o700)
    return home


def test_a_home_with_a_long_path_has_its_sockets_in_the_runtime_directory(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Path(tempfile.mkdtemp(prefix="r"))
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        made = private.make_socket_folder(deep)
        assert made.parent == runtime
        assert private.socket_folder(deep) == private.make_socket_folder(deep) == made
        made.rmdir()
    finally:
        runtime.rmdir()


@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_a_runtime_directory_that_is_open_is_not_used(deep: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    runtime = Path(tempfile.mkdtemp(prefix="r"))
    runtime.chmod(mode)
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        made = private.make_socket_folder(deep)
        assert made.parent != runtime
        assert mode_of(made) == 0o700
        assert private.socket_folder(deep) == made
        made.rmdir()
    finally:
        runtime.rmdir()


def test_a_folder_for_sockets_that_somebody_made_meanwhile_is_not_used(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    noted = private.make_socket_folder(deep)
    noted.rmdir()
    noted.mkdir()
    noted.chmod(0o777)
    made = private.make_socket_folder(deep)
    noted.rmdir()
    assert made != noted
    made.rmdir()


@as_root
def test_another_user_is_not_answered_on_a_socket(tmp_path: Path) -> None:
    """Even where the folder let that user in: the kernel says who calls."""
    program = """
import asyncio, sys
from pathlib import Path
from outcrop.inference.unix_http import HttpAnswer, UnixServer

async def answer(call):
    return HttpAnswer(body=b"hello")

async def serve():
    server = UnixServer(Path(sys.argv[1]), answer)
    await server.start()
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(serve())
"""
    folder = Path(tempfile.mkdtemp(prefix="p"))
    place = folder / "s.sock"
    serving = subprocess.Popen([sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        folder.chmod(0o777)
        place.chmod(0o777)
        assert b"hello" in heard(place, os.geteuid())
        assert heard(place, NOBODY) == b""
    finally:
        serving.kill()
        serving.communicate()
        place.unlink(missing_ok=True)
        folder.rmdir()


def heard(place: Path, user: int) -> bytes:
    """All that a process of this user hears on the socket, in however many pieces it comes."""
    asking = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.settimeout(60)\n"
        "s.connect(sys.argv[1])\n"
        "try:\n"
        "    s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "    while piece := s.recv(4096):\n"
        "        sys.stdout.buffer.write(piece)\n"
        "except ConnectionError:\n"
        "    pass\n"
    )
    # The environment's own interpreter may lie where only root can reach it.
    program = shutil.which("python3", path="/usr/bin:/bin") if user else sys.executable
    if program is None:
        pytest.skip("no Python that another user may run")
    command = [program, "-c", asking, str(place)]
    return subprocess.run(command, user=user, capture_output=True, timeout=PATIENCE_S, check=True).stdout
