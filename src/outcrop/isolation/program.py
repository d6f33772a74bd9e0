"""A program in its sandbox, from outside: watched, told to end, and made to."""

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from outcrop.errors import MachineTrouble
from outcrop.isolation import networks
from outcrop.isolation.control_groups import ControlGroup
from outcrop.isolation.inside.messages import ENDED, GO, KILL, MOST_BYTES, READY, SIGNAL, TROUBLE
from outcrop.isolation.limits import Breach, SandboxLimits
from outcrop.isolation.processes import SandboxProcesses
from outcrop.isolation.watching import DiskWatch, UseWatch

_BUILDING_S = 60.0
_KILLING_S = 8.0
"After it the first process is killed too: it may be kept from its work."
_BURYING_S = 2.0
_GRACE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class ProgramEnd:
    """How a sandboxed program ended."""

    code: int
    "Its exit status; the number of a signal, negative."
    breach: Breach | None
    reason: str
    "One sentence for whoever started it."
    at_s: float
    "When it was heard of, on the monotonic clock: of several that end, one was first."

    @property
    def is_failure(self) -> bool:
        return self.code != 0 or self.breach is not None


class SandboxedProgram:
    """A program that runs in a sandbox. It ends, with all that it has started, when this process does."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        words: IO[bytes],
        *,
        limits: SandboxLimits,
        folders: Sequence[Path],
        group: ControlGroup | None,
        processes_held: bool,
        at_end: Callable[[], None],
    ) -> None:
        """`words` is what is said while the sandbox is built; `at_end` gives back what was opened for it.

        `processes_held` says whether the kernel holds the number of its processes.
        """
        self._process = process
        self._control = control
        self._words = words
        self._limits = limits
        self._group = group
        self._at_end = at_end
        self._over = threading.Event()
        self._end: ProgramEnd | None = None
        self._breach: Breach | None = None
        self._code: int | None = None
        self._ended_at = 0.0
        self._silent = False
        self._killed_at: float | None = None
        self._descriptor: int | None = None
        self._network: int | None = None
        "Descriptor of its network while it runs, where it has one of its own."
        self._network_lock = threading.Lock()
        try:
            self._first = self._built()
            self._descriptor = os.pidfd_open(self._first)
        except (OSError, MachineTrouble):
            self._finish()
            raise
        self._join_group()
        processes = SandboxProcesses(self._first)
        self._use = UseWatch(processes, limits, group=self._group, processes_held=processes_held)
        self._disk = DiskWatch(processes, folders, limits)
        self._say({GO: self._group is not None or limits.memory_bytes is None})
        threading.Thread(target=self._watch, name=f"sandbox-{self._first}", daemon=True).start()

    def _join_group(self) -> None:
        # A group may be made where a process may not be moved into: its limits are then watched instead.
        if self._group is not None:
            try:
                self._group.add(self._first)
            except OSError:
                self._group.remove()
                self._group = None

    @property
    def pid(self) -> int:
        """Number of the sandbox's first process, as this process sees it."""
        return self._first

    def namespaces(self) -> list[int]:
        """New descriptors of what a sandbox enters to have this one's network. Raises MachineTrouble once it ended."""
        with self._network_lock:
            if self._network is None:
                raise MachineTrouble("The sandbox whose network is to be shared has ended.")
            return networks.to_join(self._network)

    def poll(self) -> ProgramEnd | None:
        """How it ended; None while it runs."""
        return self._end

    def wait(self, timeout_s: float | None = None) -> ProgramEnd | None:
        """How it ended, as soon as it has; None when that takes longer."""
        self._over.wait(timeout_s)
        return self._end

    def terminate(self) -> None:
        """Send SIGTERM to the program, and to nothing that it has started."""
        self._say({SIGNAL: int(signal.SIGTERM)})

    def kill(self) -> None:
        """End the program and everything that it has started, at once."""
        self._killed_at = self._killed_at or time.monotonic()
        self._say({KILL: True})

    def stop(self, grace_s: float = _GRACE_S) -> ProgramEnd:
        """SIGTERM, and the end of everything when that is not heard within the time of grace."""
        self.terminate()
        ended = self.wait(grace_s)
        if ended is None:
            self.kill()
            ended = self.wait()
        assert ended is not None, "waiting without a limit is over when it has ended"
        return ended

    def _say(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # it has ended
            self._control.send(json.dumps(message).encode())

    def _built(self) -> int:
        """Number of the first process once the sandbox stands. Raises MachineTrouble with why it does not."""
        self._control.settimeout(_BUILDING_S)
        try:
            received, ancillary, _, _ = self._control.recvmsg(MOST_BYTES, 1024, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            received, ancillary = b"", []
        told = {kind: data for _, kind, data in ancillary}
        if socket.SCM_RIGHTS in told:
            (self._network,) = array("i", told[socket.SCM_RIGHTS])
        message = json.loads(received) if received else {}
        if READY not in message:
            raise MachineTrouble(f"The sandbox could not be built: {message.get(TROUBLE) or self._said()}")
        self._control.setblocking(False)
        # The kernel says who sent it, in this namespace's numbers: pid, uid and gid.
        return int.from_bytes(told[socket.SCM_CREDENTIALS][:4], "little")

    def _said(self) -> str:
        self._process.kill()
        self._process.wait()
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its first process ended without a word."

    def _watch(self) -> None:
        try:
            self._watch_to_the_end()
        finally:
            # Whatever went wrong: nobody is left running without a watch, and nobody waits for ever.
            self._finish()

    def _watch_to_the_end(self) -> None:
        due: dict[UseWatch | DiskWatch, float] = {self._use: 0.0, self._disk: 0.0}
        with selectors.DefaultSelector() as selector, open(os.pidfd_open(self._process.pid), "rb") as outer:
            selector.register(self._control, selectors.EVENT_READ, self._hear)
            selector.register(outer, selectors.EVENT_READ, lambda: self._outer_ended(selector, outer))
            while not self._silent:
                for key, _ in selector.select(max(0.0, min(due.values()) - time.monotonic())):
                    key.data()
                for watch, at in due.items():
                    if time.monotonic() >= at:
                        self._look(watch)
                        due[watch] = time.monotonic() + watch.pause_s

    def _hear(self) -> None:
        """Take in what the first process says, or that it has ended."""
        received = b""
        with suppress(ConnectionError):
            received = self._control.recv(MOST_BYTES)
        self._ended_at = self._ended_at or time.monotonic()  # it says nothing else
        if received:
            self._code = json.loads(received).get(ENDED, self._code)
        self._silent = not received

    def _outer_ended(self, selector: selectors.BaseSelector, outer: IO[bytes]) -> None:
        """End the sandbox whose process outside of it was killed: it is to have no life of its own."""
        selector.unregister(outer)
        self._kill_first()

    def _look(self, watch: UseWatch | DiskWatch) -> None:
        if self._killed_at is None:
            self._end_for(watch.breach())
        elif time.monotonic() - self._killed_at > _KILLING_S:
            self._kill_first()

    def _end_for(self, breach: Breach | None) -> None:
        if breach is not None and self._code is None:
            self._breach = breach
            self.kill()

    def _kill_first(self) -> None:
        assert self._descriptor is not None, "the watch begins once there is a first process"
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        self._process.kill()

    def _finish(self) -> None:
        try:
            self._bury()
        finally:
            code = self._code if self._code is not None else -int(signal.SIGKILL)
            at_s = self._ended_at or time.monotonic()
            self._end = ProgramEnd(code=code, breach=self._breach, reason=self._reason(code), at_s=at_s)
            self._over.set()

    def _bury(self) -> None:
        """Wait until nothing of the sandbox lives, and give back what it had."""
        self._control.close()
        with self._network_lock:
            if self._network is not None:
                os.close(self._network)
            self._network = None
        if self._descriptor is not None:
            # Its descriptors are closed before the kernel ends the others of its namespace; this waits for both.
            ending = select.poll()
            ending.register(self._descriptor, select.POLLIN)
            ending.poll(1000 * _KILLING_S)
            os.close(self._descriptor)
            # Whoever is outside of the sandbox buries its first process, and ends then.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_BURYING_S)
        self._process.kill()
        self._process.wait()
        if self._killed_at is None and self._code is not None:
            # A program may end between two looks.
            with suppress(OSError):  # the caller may have removed its folders by now
                self._breach = self._disk.breach_of_files()
        if self._group is not None and self._group.out_of_memory():
            self._breach = Breach.MEMORY
        self._at_end()
        self._words.close()

    def _reason(self, code: int) -> str:
        if self._breach is not None:
            return self._limits.sentence(self._breach)
        if self._code is None:
            return "Its sandbox was ended from outside."
        if self._killed_at is not None:
            return "It was ended."
        return f"It ended with status {code}." if code >= 0 else f"It ended by {signal.Signals(-code).name}."
