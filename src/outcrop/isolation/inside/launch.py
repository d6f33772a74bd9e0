"""Start of the process inside a sandbox: build it where nobody has yet, give up all rights, start the program.

Run by a bare interpreter, as `main(WAY, DESCRIPTOR)`, outside of the sandbox for the ways `namespaces` and `plain`;
bubblewrap runs it inside of what it has built.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
from contextlib import suppress

from outcrop.isolation.inside import kernel, rooting
from outcrop.isolation.inside.first_process import FirstProcess, kill_namespace
from outcrop.isolation.inside.messages import INSIDE_USER, TROUBLE, orders_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outcrop.isolation.orders import Orders

_SEPARATE = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)
_FIRST_VICTIM = 1000
_DESCRIPTORS = 1024


def main(way: str, descriptor: int) -> None:
    """Be the first process of a sandbox whose orders lie behind a descriptor; never returns in that process."""
    orders = orders_from(descriptor)
    control = socket.socket(fileno=orders.control)
    for each in (orders.control, *orders.outputs):
        os.set_inheritable(each, False)
    first = FirstProcess(orders, control, _kill_descendants if way == "plain" else kill_namespace)
    try:
        if way == "namespaces":
            _separate(orders)
        _be_first_to_go()
        if way == "plain":
            kernel.adopt_orphans()
        else:
            _give_up_rights(orders.user)
        first.run()
    except OSError as error:
        first.tell({TROUBLE: error.strerror or str(error)})
        os._exit(1)


def _separate(orders: Orders) -> None:
    """Enter namespaces of our own. Returns in the first process of them only; the one before waits for its end."""
    user, group = os.geteuid(), os.getegid()
    for namespace in orders.joins:
        kernel.join(namespace)
        os.close(namespace)
    own_user = orders.user is None and not orders.joins
    network = kernel.CLONE_NEWNET if orders.own_network and not orders.joins else 0
    kernel.unshare(_SEPARATE | network | (kernel.CLONE_NEWUSER if own_user else 0))
    if own_user:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{INSIDE_USER} {user} 1")
        _write("/proc/self/gid_map", f"{INSIDE_USER} {group} 1")
        _forbid_more_users()
    first = os.fork()
    if first:
        _wait_outside(first, orders)
    kernel.set_hostname(orders.hostname)
    if network:
        kernel.raise_loopback()
    rooting.build(orders)


def _forbid_more_users() -> None:
    # A nested user namespace would have every right in itself. The filter of calls refuses it too, where there is one.
    with suppress(OSError):
        _write("/proc/sys/user/max_user_namespaces", "0")


def _wait_outside(first: int, orders: Orders) -> None:
    """Stay in the machine's process namespace until the first process of the new one has ended."""
    for descriptor in (orders.control, *orders.outputs):
        os.close(descriptor)
    _, status = os.waitpid(first, 0)
    os._exit(0 if status == 0 else 1)


def _give_up_rights(user: int | None) -> None:
    kernel.no_new_privileges()
    kernel.drop_bounding_set()
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    kernel.drop_capabilities()
    kernel.die_with_parent()
    kernel.closed_to_tracing()


def _be_first_to_go() -> None:
    # If the machine runs out of memory, its kernel looks for somebody to end: rather this than anybody else.
    with suppress(OSError):
        _write("/proc/self/oom_score_adj", str(_FIRST_VICTIM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _kill_descendants() -> None:
    """End everything that this process has started, however far down; it has adopted what was left behind."""
    own = os.getpid()
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, IndexError), open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    found = [own]
    for each in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == each]
    for each in found[1:]:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
