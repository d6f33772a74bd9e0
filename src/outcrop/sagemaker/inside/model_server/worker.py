"""A worker of the model server: it loads the model, and answers one request after the other."""

from __future__ import annotations

import faulthandler
import io
import os
import resource
import select
import shutil
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Generator, Iterator

from . import toolkits
from .context import InvocationContext, RequestHeaders
from .contract import ModelContract
from .frames import Frame, receive, send
from .huggingface import HuggingFaceContract
from .pytorch import PyTorchContract
from .scikit_learn import ScikitLearnContract
from .settings import ServerSettings

CONTRACTS: dict[str, type[ModelContract]] = {
    "huggingface": HuggingFaceContract,
    "pytorch": PyTorchContract,
    "scikit-learn": ScikitLearnContract,
}
_LEAVE_S = 1.0
NOT_LOADED = 3
"The exit status of a worker that told its server why the model cannot be loaded."


def work(descriptor: int, slot: int, settings: ServerSettings) -> int:
    """Serve until the server is gone; the exit status is NOT_LOADED where the model cannot be loaded."""
    os.set_inheritable(descriptor, False)
    connection = socket.socket(fileno=descriptor)
    _prepare_process()
    toolkits.offer()
    context = InvocationContext(str(settings.model_dir), _gpu(slot))
    contract = CONTRACTS[settings.toolkit](settings, context)
    try:
        contract.load()
    except BaseException as error:  # SystemExit of the user's code, too: whatever it is, it has to be told
        traceback.print_exc()
        send(connection, {"loaded": False, "reason": _said(error)})
        _leave_soon(NOT_LOADED)
        return NOT_LOADED
    send(connection, {"loaded": True})
    try:
        while (frame := receive(connection)) is not None:
            if "cancel" not in frame.header:  # that stream had ended already
                _serve(connection, contract, frame)
                sys.stdout.flush()
    except BaseException as error:
        asked = error.code if isinstance(error, SystemExit) else 1
        _leave_soon(asked if isinstance(asked, int) else 1)
        raise
    _leave_soon(0)
    return 0


def _leave_soon(code: int) -> None:
    """End the process in a while, even where threads of the user's code would keep it."""
    leaving = threading.Timer(_LEAVE_S, os._exit, [code])
    leaving.daemon = True
    leaving.start()


def _serve(connection: socket.socket, contract: ModelContract, frame: Frame) -> None:
    contract.context.begin(frame.header["request_id"], RequestHeaders(frame.header["headers"]))
    answer = contract.invoke(frame.body)
    head = {
        "status": answer.status,
        "content_type": answer.content_type,
        "headers": {str(name): str(value) for name, value in answer.headers.items()},
        "streams": answer.pieces is not None,
    }
    send(connection, head, answer.body)
    if answer.pieces is not None:
        _stream(connection, answer.pieces)


def _stream(connection: socket.socket, pieces: Iterator[bytes]) -> None:
    broken = None
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:
            traceback.print_exc()
            broken = _said(error)
            break
        if piece is None:
            break
        send(connection, {"piece": True}, piece)
        if select.select([connection], [], [], 0)[0]:
            break  # the caller has gone
    try:
        if isinstance(pieces, Generator):
            pieces.close()
    except Exception:
        traceback.print_exc()
    send(connection, {"piece": False, "broken": broken})


def _prepare_process() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Whole lines, and each as soon as it is there: several workers print into the same stream.
            stream.reconfigure(line_buffering=True, write_through=False, errors="backslashreplace")
    # A worker that hangs is ended by SIGABRT, and a crash in a library by SIGSEGV: both leave the stack in the log.
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _said(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _gpu(slot: int) -> int | None:
    """The GPU of a worker, by turns, or None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    told = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, check=False)
    num_gpus = sum(line.startswith(b"GPU ") for line in told.stdout.splitlines())
    return slot % num_gpus if num_gpus else None
