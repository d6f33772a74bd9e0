"""Orders for a sandbox as arguments for bubblewrap, which builds it and then runs our first process inside."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from outcrop.isolation.inside.messages import INSIDE_USER
from outcrop.isolation.inside.rooting import MASKED
from outcrop.isolation.orders import Orders


def arguments(program: str, orders: Orders, first: list[str]) -> list[str]:
    """The command line of bubblewrap for `first`, the command of our first process."""
    command = [program, "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--unshare-net"] if orders.own_network and not orders.joins else []
    command += ["--as-pid-1", "--new-session", "--clearenv", "--hostname", orders.hostname]
    if orders.user is None:
        command += ["--unshare-user", "--uid", str(INSIDE_USER), "--gid", str(INSIDE_USER)]
    else:
        # Started by root: these rights serve to become another user, the first thing that is done inside.
        command += ["--cap-drop", "ALL"]
        command += [part for right in ("SETUID", "SETGID", "SETPCAP") for part in ("--cap-add", f"CAP_{right}")]
    for folder in _parents([mount.target for mount in orders.mounts]):
        command += ["--dir", folder]
    command += ["--dev", "/dev", "--perms", "1777", "--size", str(orders.shared_memory_bytes), "--tmpfs", "/dev/shm"]
    for mount in orders.mounts:
        how = "--dev-bind" if mount.device else "--bind" if mount.writable else "--ro-bind"
        command += [how, mount.source, mount.target]
    for link, path in orders.links:
        command += ["--symlink", link, path]
    command += ["--proc", "/proc"]
    for name in MASKED:
        command += ["--ro-bind", "/dev/null", f"/proc/{name}"] if Path("/proc", name).exists() else []
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--", *first]


def _parents(targets: Sequence[str]) -> list[str]:
    """Folders above what is mounted, outer ones first: bubblewrap would close those it makes by itself to others."""
    return sorted({str(above) for target in targets for above in PurePosixPath(target).parents} - {"/"})
