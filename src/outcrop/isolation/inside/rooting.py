"""A root folder for a sandboxed program: an empty file system with what the orders name, nothing else."""

from __future__ import annotations

import os

from outcrop.isolation.inside import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outcrop.isolation.orders import Orders

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
MASKED = ("kcore", "keys", "key-users", "kallsyms", "timer_list", "sched_debug", "kmsg")
"Files of /proc about the machine rather than about the program; shown as empty."
FIXED = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"Files of /proc that change the machine; shown read only."
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_SMALL = "size=1m,nr_inodes=4096,mode=755"
_CLOSED = kernel.MS_NOSUID | kernel.MS_NODEV


def build(orders: Orders) -> None:
    """Mount everything and make it this process's root. Needs a mount and a process namespace of its own."""
    root = orders.root
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", _CLOSED, _SMALL)
    _devices(f"{root}/dev", orders.shared_memory_bytes)
    for order in orders.mounts:
        target = root + order.target
        _make_target(order.source, target)
        kernel.mount(order.source, target, None, kernel.MS_BIND | kernel.MS_REC)
        kernel.restrict(
            target,
            kernel.MS_NOSUID | (0 if order.device else kernel.MS_NODEV) | (0 if order.writable else kernel.MS_RDONLY),
        )
    for link, path in orders.links:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(link, root + path)
    _processes(f"{root}/proc")
    kernel.become_root_of(root)
    # Only now: the folders that hold the mounts had to be made first.
    for place in ("/", "/dev"):
        _fix(place)


def _devices(folder: str, shared_memory_bytes: int) -> None:
    os.mkdir(folder)
    kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, _SMALL)
    for name in DEVICES:
        _make_file(f"{folder}/{name}")
        kernel.mount(f"/dev/{name}", f"{folder}/{name}", None, kernel.MS_BIND)
    for name, link in _LINKS.items():
        os.symlink(link, f"{folder}/{name}")
    for name, kind, data in (
        ("shm", "tmpfs", f"size={shared_memory_bytes},nr_inodes=65536,mode=1777"),
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
    ):
        os.mkdir(f"{folder}/{name}")
        kernel.mount(kind, f"{folder}/{name}", kind, kernel.MS_NOSUID | kernel.MS_NOEXEC, data)
    os.symlink("pts/ptmx", f"{folder}/ptmx")


def _processes(folder: str) -> None:
    os.mkdir(folder)
    kernel.mount("proc", folder, "proc", _CLOSED | kernel.MS_NOEXEC)
    for name in MASKED:
        if os.path.exists(f"{folder}/{name}"):
            kernel.mount("/dev/null", f"{folder}/{name}", None, kernel.MS_BIND)
    for name in FIXED:
        place = f"{folder}/{name}"
        if os.path.exists(place):
            kernel.mount(place, place, None, kernel.MS_BIND | kernel.MS_REC)
            kernel.restrict(place, kernel.MS_RDONLY)


def _fix(place: str) -> None:
    """Make a file system of our own read only; what is mounted in it stays as it is."""
    kernel.mount("none", place, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID)


def _make_target(source: str, target: str) -> None:
    """Something to mount on: a folder for a folder, a file for anything else."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _make_file(target)


def _make_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
