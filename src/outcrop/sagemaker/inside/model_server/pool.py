"""The workers of a model server: started, given one request at a time, and replaced when they end or hang."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from .frames import Frame, Silence, receive, send
from .settings import ServerSettings, log

STARTER = Path(__file__).with_name("model_server.py")
MOST_WAITING = 100
"Requests that wait for a worker; one more is told to come again."
_MOST_FAILURES = 4
"How often in a row a worker's replacement may fail to load."
_ABORT_S = 2.0
_LINGER_S = 4.0
_POLL_S = 0.5


class WorkerLost(Exception):
    """A worker that ended, or was ended, before its answer was there."""


class QueueFull(Exception):
    """More requests wait than the server keeps."""


class NobodyWaits(Exception):
    """The caller hung up before a worker was free."""


class ModelWorker:
    """A worker process, and the socket to it."""

    def __init__(self, slot: int, settings: ServerSettings) -> None:
        self.slot = slot
        self.gone = False
        self.connection, theirs = socket.socketpair()
        try:
            # A session of its own: whatever the user's code has started ends with the worker.
            self.process = subprocess.Popen(
                [sys.executable, str(STARTER), "--worker", str(theirs.fileno()), str(slot)],
                stdin=subprocess.DEVNULL,
                cwd=str(settings.model_dir),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        finally:
            theirs.close()

    def wait(self) -> None:
        """Wait for the process, and end what it has left behind; whoever reads from it then reads its end."""
        self.process.wait()
        self.gone = True
        self.kill_session()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """End a worker that does not answer; its stack goes to the log first."""
        self.process.send_signal(signal.SIGABRT)
        try:
            self.process.wait(_ABORT_S)
        except subprocess.TimeoutExpired:
            self.kill_session()

    def kill_session(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """The end of a process that says no more; one that lingers, for threads of its own, is killed."""
        try:
            code = self.process.wait(_LINGER_S)
        except subprocess.TimeoutExpired:
            self.kill_session()
            return "closed its socket without ending"
        if code >= 0:
            return f"ended with status {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was killed by {name}" + (", as when memory has run out" if code == -signal.SIGKILL else "")


class PooledAnswer:
    """An answer of a worker: whole, or a stream that has to be closed."""

    def __init__(self, pool: WorkerPool, worker: ModelWorker, head: Frame) -> None:
        self.status: int = head.header["status"]
        self.content_type: str = head.header["content_type"]
        self.headers: dict[str, str] = head.header["headers"]
        self.streams: bool = head.header["streams"]
        self.body = head.body
        self._pool, self._worker = pool, worker
        self._ended = not self.streams
        if self._ended:
            pool.release(worker)

    def pieces(self) -> Iterator[bytes]:
        """The pieces of a stream as they come. Raises WorkerLost where it breaks off."""
        while not self._ended:
            frame = self._pool.next_frame(self._worker)
            if frame.header["piece"]:
                yield frame.body
                continue
            self._ended = True
            self._pool.release(self._worker)
            if frame.header["broken"]:
                raise WorkerLost(f"The stream broke off: {frame.header['broken']}")

    def close(self) -> None:
        """Have the worker end a stream that nobody reads any more."""
        if self._ended:
            return
        with contextlib.suppress(WorkerLost):
            self._pool.tell(self._worker, {"cancel": True})
            for _ in self.pieces():
                pass


class WorkerPool:
    """Every worker of the server; `invoke` waits for a free one."""

    def __init__(self, settings: ServerSettings, failed: Callable[[str], None]) -> None:
        self.loaded = threading.Event()
        self.num_replaced = 0
        self._settings = settings
        self._failed = failed
        self._idle: deque[ModelWorker] = deque()
        self._waiting: deque[queue.SimpleQueue[ModelWorker]] = deque()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._workers: dict[int, ModelWorker] = {}
        self._num_loaded = 0

    def start(self) -> None:
        for slot in range(self._settings.num_workers):
            threading.Thread(target=self._keep, args=(slot,), daemon=True, name=f"worker {slot}").start()

    def close(self) -> None:
        """End the workers: they read the end of their sockets, and are killed where they do not leave."""
        self._closing.set()
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            with contextlib.suppress(OSError):
                worker.connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _ABORT_S
        for worker in workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log(f"worker {worker.slot} did not leave, and is killed.")
            worker.kill_session()

    def invoke(self, header: dict[str, Any], body: bytes, is_waited_for: Callable[[], bool]) -> PooledAnswer:
        """The answer of a free worker. Raises WorkerLost, QueueFull and NobodyWaits."""
        worker = self._free(is_waited_for)
        self.tell(worker, header, body)
        return PooledAnswer(self, worker, self.next_frame(worker))

    def tell(self, worker: ModelWorker, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a message to a worker. Raises WorkerLost."""
        try:
            send(worker.connection, header, body, within_s=self._settings.timeout_s)
        except Silence:
            self._end_silent(worker)
        except OSError as broken:
            raise WorkerLost(f"Worker died. It {worker.how_it_ended()}.") from broken

    def next_frame(self, worker: ModelWorker) -> Frame:
        """The next message of a worker. Raises WorkerLost, and has ended the worker then."""
        try:
            frame = receive(worker.connection, within_s=self._settings.timeout_s)
        except Silence:
            self._end_silent(worker)
        if frame is None:
            raise WorkerLost(f"Worker died. It {worker.how_it_ended()}.")
        return frame

    def release(self, worker: ModelWorker) -> None:
        """Give a worker to the request that has waited longest, or keep it for the next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(worker)
            else:
                self._idle.append(worker)

    def _end_silent(self, worker: ModelWorker) -> NoReturn:
        limit = self._settings.timeout_s
        log(f"worker {worker.slot} gave no answer within {limit:g} s; it is ended, and this is where it was:")
        worker.abort()
        raise WorkerLost(f"Worker died. It gave no answer within {limit:g} s (SAGEMAKER_MODEL_SERVER_TIMEOUT).")

    def _free(self, is_waited_for: Callable[[], bool]) -> ModelWorker:
        """A living worker, in the order of asking."""
        while True:
            worker = self._next(is_waited_for)
            if worker.gone:
                continue
            if is_waited_for():
                return worker
            self.release(worker)
            raise NobodyWaits

    def _next(self, is_waited_for: Callable[[], bool]) -> ModelWorker:
        place: queue.SimpleQueue[ModelWorker] = queue.SimpleQueue()
        with self._lock:
            if self._idle:
                return self._idle.popleft()
            if len(self._waiting) >= MOST_WAITING:
                raise QueueFull
            self._waiting.append(place)
        while True:
            try:
                return place.get(timeout=_POLL_S)
            except queue.Empty:
                if is_waited_for():
                    continue
            with self._lock:
                if place in self._waiting:
                    self._waiting.remove(place)
                    raise NobodyWaits
            self.release(place.get())  # it came in this very moment
            raise NobodyWaits

    def _keep(self, slot: int) -> None:
        """Keep one worker alive as long as the server is; a model that does not load ends the server."""
        num_failures, has_loaded = 0, False
        while not self._closing.is_set():
            try:
                worker = ModelWorker(slot, self._settings)
            except OSError as broken:
                self._failed(f"A worker cannot be started: {broken}")
                return
            with self._lock:
                self._workers[slot] = worker
            waiting = threading.Thread(target=worker.wait, daemon=True, name=f"end of worker {slot}")
            waiting.start()
            reason = self._why_not_loaded(worker)
            if reason is None:
                num_failures = 0
                if not has_loaded:
                    has_loaded = True
                    self._count_loaded()
                self.release(worker)
            if reason is not None:
                worker.how_it_ended()
            waiting.join()
            if self._closing.is_set():
                return
            if reason is not None:
                num_failures += 1
                if not has_loaded or num_failures >= _MOST_FAILURES:
                    self._failed(f"The model cannot be loaded. {reason}")
                    return
                log(f"worker {slot} cannot load the model again, and tries it once more: {reason}")
                self._closing.wait(2 ** (num_failures - 1))
            with self._lock:
                self.num_replaced += 1
            log(f"worker {slot} {worker.how_it_ended()}; it is replaced ({self.num_replaced} so far).")

    def _why_not_loaded(self, worker: ModelWorker) -> str | None:
        try:
            frame = receive(worker.connection, within_s=self._settings.startup_timeout_s)
        except Silence:
            limit = self._settings.startup_timeout_s
            worker.abort()
            return f"It was not there within {limit:g} s (SAGEMAKER_STARTUP_TIMEOUT)."
        if frame is None:
            return f"The worker {worker.how_it_ended()} while it loaded."
        return None if frame.header["loaded"] else str(frame.header["reason"])

    def _count_loaded(self) -> None:
        with self._lock:
            self._num_loaded += 1
            if self._num_loaded == self._settings.num_workers:
                self.loaded.set()
