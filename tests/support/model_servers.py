"""Model servers as processes, without a sandbox, and HTTP over their sockets."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.sagemaker.inside.model_server import model_server
from tests.support.patience import PATIENCE_S, eventually

STARTER = Path(model_server.__file__)
JSON = {"Content-Type": "application/json"}


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("socket", timeout=PATIENCE_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self.path))


class Said(NamedTuple):
    """An answer of a model server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers["content-type"]


class ServerProcess:
    """A model server that runs, with what it has printed so far."""

    def __init__(self, base: Path, arguments: list[str], variables: Mapping[str, str]) -> None:
        # A path in the folder of the test may be longer than a socket's address can be.
        self.folder = Path(tempfile.mkdtemp(prefix="ms-"))
        self.path = self.folder / "s"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SAGEMAKER_", "HF_"))}
        self.process = subprocess.Popen(
            [sys.executable, str(STARTER), str(self.path), *arguments],
            env={
                **kept,
                "SAGEMAKER_BASE_DIR": str(base),
                "PYTHONDONTWRITEBYTECODE": "1",
                "OMP_NUM_THREADS": "1",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Said:
        connection = SocketConnection(self.path)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def invoke(self, body: Any = b"{}", headers: Mapping[str, str] | None = None) -> Said:
        return self.ask("POST", "/invocations", body, JSON if headers is None else headers)

    def ready(self) -> "ServerProcess":
        """Wait until the server is healthy."""
        eventually(lambda: self._is_healthy() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    def ended(self) -> int:
        """The exit status, once everything is printed."""
        code = self.process.wait(PATIENCE_S)
        self._reading.join(PATIENCE_S)
        return code

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def _is_healthy(self) -> bool:
        try:
            return self.ask("GET", "/ping").status == 200
        except OSError:
            return False

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.lines.extend(lines)


@contextlib.contextmanager
def serving(
    base: Path,
    code: str | None = None,
    *,
    toolkit: str = "pytorch",
    files: Mapping[str, str] | None = None,
    command: list[str] | None = None,
    **variables: str,
) -> Iterator[ServerProcess]:
    """A server of the model in `base`, whose inference.py is `code`."""
    folder = base / "model" / "code"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**({} if code is None else {"inference.py": code}), **(files or {})}.items():
        (folder / name).write_text(text)
    server = ServerProcess(base, ["--serve", *command] if command else [], {"OUTCROP_SERVING": toolkit, **variables})
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(60)
            except subprocess.TimeoutExpired:
                server.process.kill()
        server.ended()
        with contextlib.suppress(OSError):
            server.path.unlink(missing_ok=True)
            server.folder.rmdir()


def read_json(said: Said) -> Any:
    return json.loads(said.body)
