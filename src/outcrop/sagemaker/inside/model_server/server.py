"""The HTTP of a model server on its Unix socket: /ping, /invocations and /execution-parameters.

The server's own process never runs code of the model: it answers /ping whatever that code does. Requests are read
whole, then a worker of `pool.py` has them one at a time.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import select
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from .ending import Ending
from .error_bodies import error_body
from .http_body import BadBody, LargeBody, read_body
from .pool import NobodyWaits, PooledAnswer, QueueFull, WorkerLost, WorkerPool
from .settings import ServerSettings, WrongSetting, log

DRAIN_S = 25.0
"How long what runs may go on after SIGTERM; SIGKILL comes after 30 seconds."
BODY_S = 60.0
"The longest pause in the body of a request."
_LINGER_S = 2.0
_MOST_DISCARDED = 256 << 20
_JSON = "application/json"
_INSTALLED = "OUTCROP_REQUIREMENTS_INSTALLED"
_OWN_HEADERS = {"content-type", "content-length", "transfer-encoding", "connection", "keep-alive", "date", "server"}
"Headers of an answer that the server writes itself."


def serve(path: Path, settings: ServerSettings) -> int:
    """Serve until SIGTERM, or until the model turns out not to load; the exit status is 0 or 1."""
    if not settings.model_dir.is_dir():
        raise WrongSetting(f"{settings.model_dir} is no folder. The model has to lie there before its server starts.")
    ending = Ending()
    ending.begin_with_signals()
    pool = WorkerPool(settings, ending.end)
    server = bound(path, pool, settings)
    threading.Thread(target=server.serve_forever, daemon=True, name="connections").start()
    try:
        _install_requirements(settings, ending)
        if not ending.begun:
            pool.start()
        ending.wait()
        server.drain()
    finally:
        pool.close()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    if ending.reason is not None:
        log(ending.reason)
        return 1
    return 0


class ModelHttpServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The socket, with a thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, path: Path, pool: WorkerPool, settings: ServerSettings) -> None:
        self.pool = pool
        self.settings = settings
        self.draining = threading.Event()
        self._running = 0
        self._changed = threading.Condition()
        super().__init__(str(path), ModelRequestHandler)

    @contextlib.contextmanager
    def one_more_running(self) -> Any:
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self) -> None:
        """Take no more connections and invocations, and wait for those that run."""
        self.draining.set()
        self.shutdown()
        self.server_close()
        with self._changed:
            if not self._changed.wait_for(lambda: not self._running, timeout=DRAIN_S):
                log(f"{self._running} invocations still ran after {DRAIN_S:g} s and are given up.")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that hang up; everything else is printed with its traceback."""
        if not isinstance(sys.exc_info()[1], (OSError, EOFError)):
            super().handle_error(request, client_address)


def bound(path: Path, pool: WorkerPool, settings: ServerSettings) -> ModelHttpServer:
    """The server on its socket; one that a former server left there is removed. Raises WrongSetting."""
    try:
        if path.is_socket():
            path.unlink()
        return ModelHttpServer(path, pool, settings)
    except OSError as refused:
        raise WrongSetting(f"{path}: no socket can be made there: {refused}.") from refused


class ModelRequestHandler(http.server.BaseHTTPRequestHandler):
    """A connection, and its requests one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "outcrop-model-server"
    sys_version = ""
    server: ModelHttpServer
    connection: socket.socket

    def handle_one_request(self) -> None:
        self.connection.settimeout(None)  # a caller may keep its connection as long as it likes
        super().handle_one_request()

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: Any) -> None:
        """Write nothing: the lines of the log are the model's."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no HTTP."""
        del explain
        self._refuse(code, "BadRequestException", message or "This is no request of HTTP.", close=True)

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_POST

    def _route(self, method: str) -> None:
        path = self.path.split("?")[0]
        expected = {"/ping": "GET", "/execution-parameters": "GET", "/invocations": "POST"}.get(path)
        if path == "/invocations" and self.command == "POST":
            with self.server.one_more_running():
                self._invocation()
            return
        if not self._skip_body():
            return
        if expected is None:
            self._refuse(404, "ResourceNotFoundException", f"{path} is not here. Ask /ping, /invocations.")
        elif self.command != expected or method != expected:
            self._refuse(405, "MethodNotAllowedException", f"{path} takes {expected}, not {self.command}.")
        elif path == "/ping":
            healthy = self.server.pool.loaded.is_set()
            self._json(200 if healthy else 503, {"status": "Healthy" if healthy else "Loading"})
        else:
            settings = self.server.settings
            self._json(
                200,
                {
                    "MaxConcurrentTransforms": settings.num_workers,
                    "BatchStrategy": "MULTI_RECORD",
                    "MaxPayloadInMB": settings.max_payload_mb,
                },
            )

    def _skip_body(self) -> bool:
        return self._body() is not None

    def _body(self) -> bytes | None:
        """The body, or None where the request has been refused for it."""
        most_mb = self.server.settings.max_payload_mb
        self.connection.settimeout(BODY_S)
        try:
            return read_body(dict(self.headers.items()), self.rfile, most_mb << 20)
        except BadBody as bad:
            self._refuse(400, "BadRequestException", str(bad), close=True)
        except LargeBody:
            said = f"The body is above {most_mb} MB (SAGEMAKER_MAX_PAYLOAD_IN_MB)."
            self._refuse(413, "RequestEntityTooLargeException", said, close=True)
        except (EOFError, OSError):
            self.close_connection = True
        return None

    def _invocation(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.server.draining.is_set():
            self._refuse(503, "ServiceUnavailableException", "The server is ending.", close=True)
            return
        header = {"request_id": str(uuid.uuid4()), "headers": [[name, value] for name, value in self.headers.items()]}
        try:
            answer = self.server.pool.invoke(header, body, self._is_somebody_there)
        except NobodyWaits:
            self.close_connection = True
        except QueueFull:
            self._refuse(503, "ServiceUnavailableException", "Every worker is busy and many requests wait. Try again.")
        except WorkerLost as lost:
            self._refuse(500, "InternalServerException", str(lost))
        else:
            self._answer(answer)

    def _answer(self, answer: PooledAnswer) -> None:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN_HEADERS}
        if not answer.streams:
            self._respond(answer.status, answer.content_type, answer.body, headers)
            return
        try:
            self._stream(answer, headers)
        finally:
            answer.close()

    def _stream(self, answer: PooledAnswer, headers: dict[str, str]) -> None:
        chunked = self.request_version != "HTTP/1.0"
        self.close_connection = self.close_connection or not chunked
        self._begin(answer.status, answer.content_type, headers)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in answer.pieces():
                if piece:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        except WorkerLost as lost:
            # The status is sent: a stream that lacks its end is all that can still be said.
            log(str(lost))
            self.close_connection = True

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._respond(status, _JSON, (json.dumps(value, indent=2) + "\n").encode(), {})

    def _refuse(self, status: int, kind: str, message: str, *, close: bool = False) -> None:
        self.close_connection = self.close_connection or close
        self._respond(status, _JSON, error_body(status, kind, message), {})
        if close:
            self._linger()

    def _respond(self, status: int, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        self._begin(status, content_type, headers)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: int, content_type: str, headers: dict[str, str]) -> None:
        self.connection.settimeout(self.server.settings.timeout_s)
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **headers}.items():
            self.send_header(_one_line(name), _one_line(value))
        if self.close_connection:
            self.send_header("Connection", "close")

    def _linger(self) -> None:
        """Read on for a while: a socket that is closed with something unread takes the answer along."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            deadline, left = time.monotonic() + _LINGER_S, _MOST_DISCARDED
            self.connection.settimeout(_LINGER_S)
            while left > 0 and time.monotonic() < deadline and (block := self.connection.recv(1 << 16)):
                left -= len(block)

    def _is_somebody_there(self) -> bool:
        waiting = select.poll()
        waiting.register(self.connection, 0)
        return not any(events & (select.POLLHUP | select.POLLERR) for _, events in waiting.poll(0))


def _one_line(text: str) -> str:
    """A header of the user's code, without what would begin another header."""
    return text.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace").decode("latin-1")


def _install_requirements(settings: ServerSettings, ending: Ending) -> None:
    """Install code/requirements.txt, unless that was done before this server started."""
    wanted = settings.code_dir / "requirements.txt"
    if not wanted.exists() or os.environ.get(_INSTALLED):
        return
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(wanted)]
    process = subprocess.Popen(command)
    while process.poll() is None:
        if ending.wait(0.1):
            process.terminate()
            process.wait()
            return
    if process.returncode:
        ending.end(f"{wanted} cannot be installed: pip ended with status {process.returncode}.")
