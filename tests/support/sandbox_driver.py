"""Starts sandboxes on orders that come as lines of JSON, as whichever user it was started by; standard library only.

It runs from a copy of the sources where that user cannot read ours. Beside the sandboxes stands a `World` of things
that are not theirs: files, sockets, processes, memory. A program is told where they are by the variable WORLD.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop.errors import MachineTrouble
from outcrop.isolation import archives, leftovers
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation

SECRET = "a secret of somebody else"
SHARED_KEY = 0x0C0FFEE
_IPC_CREAT, _IPC_RMID = 0o1000, 0


class World:
    """Things of this user and of this machine that no sandboxed program may see or change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.other_job = folder / "jobs" / "other" / "ml"
        self.home = folder / "home"
        self.shown = folder / "shown"
        for each in (self.other_job, self.home / ".aws", self.shown):
            each.mkdir(parents=True)
        for path in self._secrets():
            path.write_text(SECRET)
        os.environ["HOME"] = str(self.home)
        os.environ["OUTCROP_TEST_SECRET"] = SECRET
        self._tcp = socket.create_server(("0.0.0.0", 0))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(str(folder / "socket"))
        self._abstract = socket.socket(socket.AF_UNIX)
        self._abstract.bind(f"\0outcrop-test-{os.getpid()}")
        for listening in (self._tcp, self._unix, self._abstract):
            listening.listen()
            threading.Thread(target=_answer, args=(listening,), daemon=True).start()
        self.victim = subprocess.Popen(["sleep", "3600"])
        self.memory_file = Path(f"/dev/shm/outcrop-test-{os.getpid()}")
        self.memory_file.write_text(SECRET)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.shmat.restype = ctypes.c_void_p
        self._shared = self._libc.shmget(SHARED_KEY + os.getpid(), 4096, _IPC_CREAT | 0o600)
        ctypes.memmove(ctypes.c_void_p(self._libc.shmat(self._shared, None, 0)), SECRET.encode(), len(SECRET))
        self._open = os.open(self.other_job / "secret", os.O_RDONLY)
        os.set_inheritable(self._open, True)

    def _secrets(self) -> list[Path]:
        return [self.other_job / "secret", self.home / ".aws" / "credentials", self.shown / "file"]

    def told(self) -> dict[str, Any]:
        """Where everything is, for a program that tries to get at it."""
        return {
            "secret": SECRET,
            "other_job": str(self.other_job / "secret"),
            "jobs": str(self.folder / "jobs"),
            "credentials": str(self.home / ".aws" / "credentials"),
            "shown": str(self.shown),
            "port": self._tcp.getsockname()[1],
            "address": _own_address(),
            "unix": str(self.folder / "socket"),
            "abstract": f"\0outcrop-test-{os.getpid()}",
            "victim": self.victim.pid,
            "memory_file": str(self.memory_file),
            "shared_key": SHARED_KEY + os.getpid(),
        }

    def harm(self) -> list[str]:
        """Names of what is not as it was."""
        found = [str(path) for path in self._secrets() if path.read_text() != SECRET]
        found += [str(path) for path in self.shown.iterdir() if path.name != "file"]
        found += ["the victim"] if self.victim.poll() is not None else []
        found += ["shared memory"] if self.memory_file.read_text() != SECRET else []
        return found

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        self.memory_file.unlink()
        self._libc.shmctl(self._shared, _IPC_RMID, None)


def _answer(listening: socket.socket) -> None:
    while True:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(SECRET.encode())


def _own_address() -> str | None:
    """An address of this machine beside the loopback's; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(asking.getsockname()[0])


def sandboxed(world: World, order: dict[str, Any]) -> dict[str, Any]:
    """Run a program in a sandbox, and tell how it ended, what it printed and what it left."""
    place = Path(tempfile.mkdtemp(dir=world.folder / "jobs"))
    limits = SandboxLimits(**{"machine_disk_bytes": 0, "machine_memory_bytes": 0, **order.get("limits", {})})
    options = dict(order.get("options", {}))
    if "endpoint" in options:
        options["endpoint"] = ("127.0.0.1", options["endpoint"])
    if order.get("show"):
        options["shown"] = {world.told()["shown"]: world.shown}
    sandbox = Sandbox(
        root=place / "root",
        opt_ml=place / "ml",
        environment={"WORLD": json.dumps(world.told())},
        limits=limits,
        **options,
    )
    started = time.monotonic()
    try:
        if "beside" in order:
            return beside(sandbox, order, place)
        with open(place / "out", "ab") as out:
            command = order.get("command") or [os.path.realpath(sys.executable), "-c", order["program"]]
            program = sandbox.start(command, way=Isolation(order["way"]), stdout=out.fileno())
        first = program.pid
        if "stop_after_s" in order:
            program.wait(order["stop_after_s"])
            ended = program.stop(order.get("grace_s", 0.5))
        else:
            ended = program.wait(order.get("timeout_s", 60)) or program.stop(0)
        answer: dict[str, Any] = {
            "code": ended.code,
            "breach": ended.breach and ended.breach.value,
            "reason": ended.reason,
            "output": (place / "out").read_bytes()[-20_000:].decode(errors="replace"),
            "output_bytes": (place / "out").stat().st_size,
            "harm": world.harm(),
            "seconds": time.monotonic() - started,
            "first_lives": Path(f"/proc/{first}").exists(),
            "marked": marked(order["marker"]) if "marker" in order else [],
            "read": {
                path: _text(leftovers.read(place / "ml", path, most_bytes=1000)) for path in order.get("read", ())
            },
            "files": [left.path for left in leftovers.files(place / "ml")] if order.get("files", True) else [],
        }
        if order.get("pack"):
            answer["packed"] = _packed(place)
        return answer
    except MachineTrouble as error:
        return {"trouble": str(error)}
    finally:
        leftovers.remove(place)


def beside(sandbox: Sandbox, order: dict[str, Any], place: Path) -> dict[str, Any]:
    """Run a second program in the network of a first one; both are stopped once one has ended."""
    way, python = Isolation(order["way"]), os.path.realpath(sys.executable)
    hosts = {"algo-1": "127.0.0.1", "algo-2": "127.0.0.2"}
    first = replace(sandbox, hosts=hosts)
    second = replace(sandbox, root=place / "root-2", opt_ml=place / "ml-2", hosts=dict(reversed(hosts.items())))
    answer: dict[str, Any] = {}
    with open(place / "out", "w+b") as out, open(place / "out-2", "w+b") as out_2:
        one = first.start([python, "-c", order["program"]], way=way, stdout=out.fileno())
        two = second.start([python, "-c", order["beside"]], way=way, stdout=out_2.fileno(), beside=one)
        ends = [(one.wait(60) or one.stop(0)).code, (two.wait(60) or two.stop(0)).code]
        for name, file in (("output", out), ("beside", out_2)):
            file.seek(0)
            answer[name] = file.read().decode(errors="replace")
        try:
            second.start([python, "-c", ""], way=way, stdout=out_2.fileno(), beside=one).wait(60)
        except MachineTrouble as trouble:
            answer["afterwards"] = str(trouble)
    return answer | {"codes": ends}


def _packed(place: Path) -> dict[str, Any]:
    with open(place / "model.tar.gz", "wb") as file:
        packed = archives.pack(place / "ml" / "model", file)
    content = (place / "model.tar.gz").read_bytes()
    return {"paths": list(packed.paths), "left_out": list(packed.left_out), "secret": _holds_secret(content)}


def _holds_secret(content: bytes) -> bool:
    import gzip

    return SECRET.encode() in gzip.decompress(content)


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode()


def unprotected(world: World, order: dict[str, Any]) -> dict[str, Any]:
    """Run the same program with nothing around it: an attempt that fails here says nothing of a sandbox."""
    with tempfile.TemporaryDirectory(dir=world.folder) as folder:
        environment = {**os.environ, "WORLD": json.dumps(world.told()), "TMPDIR": folder}
        done = subprocess.run(
            [os.path.realpath(sys.executable), "-c", order["program"]],
            env=environment,
            cwd=folder,
            close_fds=False,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    return {"output": done.stdout + done.stderr, "harm": world.harm()}


def marked(marker: str) -> list[int]:
    """Processes of this machine with a word among their arguments."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            with suppress(OSError):
                if marker.encode() in (path / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(path.name))
    return found


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tempfile.TemporaryDirectory(prefix="sandboxes-") as folder:
        world = World(Path(folder))
        try:
            for line in sys.stdin:
                order = json.loads(line)
                answer = (unprotected if order["way"] == "none" else sandboxed)(world, order)
                print(json.dumps(answer), flush=True)
        finally:
            world.close()


if __name__ == "__main__":
    main()
