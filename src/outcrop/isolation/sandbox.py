"""A place of its own for somebody else's program: what it may see, write and use, and its start.

    sandbox = Sandbox(root=folder, opt_ml=folder / "ml", read_only=[environment], endpoint=("127.0.0.1", 4580))
    with open(folder / "log", "ab") as log:
        program = sandbox.start(["python", "train.py"], way=found(), stdout=log.fileno())
    print(program.wait().reason)

Inside are the machine's programs and libraries to read, `/opt/ml`, `/tmp` and a home of its own to write, no other
process, and no network but `endpoint`. `docs/isolation.md` says what that holds against and what it does not.
"""

import os
import resource
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from outcrop.errors import MachineTrouble
from outcrop.isolation import control_groups, layout, leftovers
from outcrop.isolation.control_groups import ControlGroup
from outcrop.isolation.inside.messages import INSIDE_USER
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.orders import MountOrder, Orders, as_bytes
from outcrop.isolation.outward import OutwardRelay
from outcrop.isolation.program import SandboxedProgram
from outcrop.isolation.users import separate_user
from outcrop.isolation.ways import Isolation, command

_SHARED_MEMORY_BYTES = 1024**3
"Of /dev/shm where no limit of memory says otherwise."
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ROOT = "root"
_SEEN_BYTES = 1024**2
_BASE_DIRECTORY = "SAGEMAKER_BASE_DIR"


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A program's surroundings: what it may see, write and use."""

    root: Path
    "Folder for what the sandbox needs on disk; nobody else writes to it."
    opt_ml: Path
    "Folder that is /opt/ml inside. Where root starts the program, it comes to belong to the program's user."
    read_only: Sequence[Path] = ()
    "Files and folders that show at their own path. Where root starts the program, others must be able to read them."
    shown: Mapping[str, Path] = field(default_factory=dict)
    "The same at other paths: the path inside, and what shows there."
    devices: Sequence[Path] = ()
    "Device files, as those of a GPU."
    environment: Mapping[str, str] = field(default_factory=dict)
    "Variables beside PATH, HOME, USER, TMPDIR and LANG."
    folder: str = layout.OPT_ML
    "Where the program starts, as it is called inside."
    hosts: Mapping[str, str] = field(default_factory=lambda: {"algo-1": "127.0.0.1"})
    "Names of hosts with their addresses, all of the loopback; the first is its own."
    endpoint: tuple[str, int] | None = None
    "Address of this installation; inside, the host's own address has it at the same port."
    endpoint_socket: Path | None = None
    "The Unix socket at which it is found from outside; None: it is found at that address."
    network: bool = False
    "Whether the program has the machine's network, with all that listens there."
    limits: SandboxLimits = field(default_factory=SandboxLimits)

    def start(
        self,
        arguments: Sequence[str],
        *,
        way: Isolation,
        stdout: int,
        stderr: int | None = None,
        beside: SandboxedProgram | None = None,
    ) -> SandboxedProgram:
        """Run a program; what it prints goes to the descriptors, both streams to `stdout` if that is all there is.

        `beside` is one that runs by the same way: the two share a network, and nothing else.
        Raises MachineTrouble where the sandbox cannot be built. A program that cannot be started ends with status 127.
        """
        user = None if way is Isolation.PLAIN else separate_user(self.root)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = layout.own_folders(self.root, self.opt_ml)
        with ExitStack() as opened:
            relay = self._relay(way, user)
            if relay is not None:
                opened.callback(relay.close)
            mounts = [] if way is Isolation.PLAIN else self._mounts(own, relay, user)
            if user is not None:
                for folder in own.values():
                    leftovers.give_to(folder, user)
            group = self._group()
            if group is not None:
                opened.callback(group.remove)
            joins = [] if beside is None or way is Isolation.PLAIN else beside.namespaces()
            control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            outputs = [stdout] if stderr in (None, stdout) else [stdout, stderr]
            own_name, own_address = next(iter(self.hosts.items()))
            resource_limits = _resource_limits(self.limits, way, separate=user is not None)
            orders = Orders(
                isolated=way is not Isolation.PLAIN,
                root=str(self.root / _ROOT),
                mounts=mounts,
                links=layout.system_links(),
                shared_memory_bytes=(self.limits.memory_bytes or 2 * _SHARED_MEMORY_BYTES) // 2,
                hostname=own_name,
                own_network=not self.network,
                joins=joins,
                address=own_address,
                user=user,
                command=list(arguments),
                environment=self._environment(way, own),
                folder=self.folder if way is not Isolation.PLAIN else layout.outside(self.folder, own),
                resource_limits=resource_limits,
                endpoint_port=None if relay is None or self.endpoint is None else self.endpoint[1],
                log_bytes_per_s=self.limits.log_bytes_per_s,
                control=inside.fileno(),
                outputs=outputs,
            )
            words = opened.enter_context(tempfile.TemporaryFile())
            with inside, ExitStack() as sent:
                for namespace in joins:
                    sent.callback(os.close, namespace)
                try:
                    process = _launch(way, orders, words)
                except (OSError, MachineTrouble) as error:
                    control.close()
                    raise MachineTrouble(f"The sandbox could not be started: {error}") from error
            return SandboxedProgram(
                process,
                control,
                words,
                limits=self.limits,
                folders=list(own.values()),
                group=group,
                processes_held="RLIMIT_NPROC" in resource_limits,
                at_end=opened.pop_all().close,
            )

    def _relay(self, way: Isolation, user: int | None) -> OutwardRelay | None:
        if self.endpoint is None:
            return None
        if way is Isolation.PLAIN or self.network:
            if self.endpoint_socket is not None:
                raise MachineTrouble(
                    "The door of this installation speaks TLS, and only a program in a sandbox of its own finds it "
                    "without. Install bubblewrap, or start Outcrop without TLS."
                )
            return None
        return OutwardRelay(self.root, self.endpoint_socket or self.endpoint, user)

    def _mounts(self, own: Mapping[str, Path], relay: OutwardRelay | None, user: int | None) -> list[MountOrder]:
        return [
            *layout.system_mounts(network=self.network),
            *layout.own_files(self.root, self.hosts, user or INSIDE_USER, network=self.network),
            *(MountOrder(source=str(path.resolve()), target=place, writable=True) for place, path in own.items()),
            *layout.given_mounts(self.read_only, self.shown, self.devices, own),
            *([layout.endpoint_mount(relay.path)] if relay is not None else []),
        ]

    def _group(self) -> ControlGroup | None:
        if self.limits.memory_bytes is None:
            return None
        return control_groups.make(self.limits.memory_bytes, self.limits.num_processes)

    def _environment(self, way: Isolation, own: Mapping[str, Path]) -> dict[str, str]:
        if way is Isolation.PLAIN:
            return {
                "PATH": os.environ.get("PATH", _PATH),
                "HOME": str(own[layout.HOME]),
                "TMPDIR": str(own["/tmp"]),
                "LANG": "C.UTF-8",
                _BASE_DIRECTORY: str(self.opt_ml),
                **self.environment,
            }
        known = {"PATH": _PATH, "HOME": layout.HOME, "USER": layout.USER, "TMPDIR": "/tmp", "LANG": "C.UTF-8"}
        return {**known, **self.environment}


def _launch(way: Isolation, orders: Orders, words: IO[bytes]) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as file:
        file.write(as_bytes(orders))
        file.seek(0)
        return subprocess.Popen(
            command(way, orders, file.fileno()),
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,
            umask=0o022,
            pass_fds=(file.fileno(), orders.control, *orders.outputs, *orders.joins),
        )


def _resource_limits(limits: SandboxLimits, way: Isolation, *, separate: bool) -> dict[str, int]:
    """Limits that the kernel holds each process to, by the names of the `resource` module.

    `separate` says whether the program is a user of its own.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = limits.num_open_files
    found = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": open_files if most_files == resource.RLIM_INFINITY else min(open_files, most_files),
    }
    if limits.disk_bytes is not None:
        # More than the limit of all, or the file that breaks it would not be seen to.
        found["RLIMIT_FSIZE"] = limits.disk_bytes + _SEEN_BYTES
    if way is not Isolation.PLAIN and (separate or _counted_by_namespace()):
        # Outside of a sandbox, and on old kernels, the count is that of all processes of this user. Three more than
        # those that are watched: the first process is one, and one has to fit above the limit to be seen.
        found["RLIMIT_NPROC"] = limits.num_processes + 3
    return found


def _counted_by_namespace() -> bool:
    """Whether the kernel counts the processes of a user by user namespace, as it does since Linux 5.14."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(filter(str.isdigit, minor)) or 0)) >= (5, 14)
