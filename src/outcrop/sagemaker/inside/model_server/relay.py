"""A relay to a container's own server: `--serve COMMAND` runs it, and its port answers on the Unix socket.

Bytes are passed on as they come, both ways, so that streams, upgrades and connections that stay open work as they would
on the port itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from .ending import Ending
from .error_bodies import error_body
from .settings import WrongSetting, log

GRACE_S = 28.0
"How long the command may take after SIGTERM."
_BLOCK = 1 << 16
_LINGER_S = 2.0
_NOT_FOUND = 127


def relay(path: Path, command: list[str]) -> int:
    """Run the command until it ends; the exit status is its own."""
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise WrongSetting(f"SAGEMAKER_BIND_TO_PORT: {port!r} is no port. Give a number from 1 to 65535.")
    listening = _listening(path)
    ending = Ending()
    ending.begin_with_signals()
    try:
        # A session of its own, so that its children get the signals and the end, too.
        process = subprocess.Popen(
            command,
            env={**os.environ, "SAGEMAKER_BIND_TO_PORT": port},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as refused:
        log(f"{command[0]} cannot be started: {refused.strerror}.")
        path.unlink()
        return _NOT_FOUND
    threading.Thread(target=_end_with, args=(process, ending), daemon=True, name="end of the command").start()
    threading.Thread(target=_accept, args=(listening, int(port)), daemon=True, name="connections").start()
    ending.wait()
    code = _stopped(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    status = code if code >= 0 else 128 - code
    log(f"{command[0]} ended with status {status}.")
    return status


def _listening(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            path.unlink()
        listening.bind(str(path))
        listening.listen(256)
    except OSError as refused:
        listening.close()
        raise WrongSetting(f"{path}: no socket can be made there: {refused}.") from refused
    return listening


def _end_with(process: subprocess.Popen[bytes], ending: Ending) -> None:
    process.wait()
    ending.end(None)


def _stopped(process: subprocess.Popen[bytes]) -> int:
    """The exit code of the command, which SIGTERM ends if it has not ended by itself."""
    process.terminate()
    try:
        return process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _accept(listening: socket.socket, port: int) -> None:
    while True:
        caller, _ = listening.accept()
        threading.Thread(target=_pass_on, args=(caller, port), daemon=True, name="relay").start()


def _pass_on(caller: socket.socket, port: int) -> None:
    with caller:
        try:
            answering = socket.create_connection(("127.0.0.1", port))
        except OSError:
            _not_yet(caller, port)
            return
        with answering:
            answering.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pump, args=(answering, caller), daemon=True, name="relay back")
            back.start()
            _pump(caller, answering)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until the source ends, and that end with them."""
    try:
        while block := source.recv(_BLOCK):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):  # the other direction is of no use without this one
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _not_yet(caller: socket.socket, port: int) -> None:
    body = error_body(503, "ServiceUnavailableException", f"Nothing listens on port {port} of the container yet.")
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with contextlib.suppress(OSError):
        caller.settimeout(_LINGER_S)
        caller.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
        caller.shutdown(socket.SHUT_WR)
        # Closed with something unread, the socket would take the answer along.
        while caller.recv(_BLOCK):
            pass
