"""A root of its own for a sandboxed program: an empty file system with what the orders name, and nothing else."""

import os
from pathlib import Path

from outcrop.isolation.inside import kernel
from outcrop.isolation.inside.orders import Orders

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
    root = Path(orders.root)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", str(root), "tmpfs", _CLOSED, _SMALL)
    _devices(root / "dev", orders.shared_memory_bytes)
    for order in orders.mounts:
        target = _below(root, order.target)
        _make_target(Path(order.source), target)
        kernel.mount(order.source, str(target), None, kernel.MS_BIND | kernel.MS_REC)
        kernel.restrict(
            str(target),
            kernel.MS_NOSUID | (0 if order.device else kernel.MS_NODEV) | (0 if order.writable else kernel.MS_RDONLY),
        )
    for link, path in orders.links:
        _below(root, path).parent.mkdir(parents=True, exist_ok=True)
        _below(root, path).symlink_to(link)
    _processes(root / "proc")
    kernel.become_root_of(str(root))
    # Only now: the folders that hold the mounts had to be made first.
    for place in ("/", "/dev"):
        _fix(place)


def _devices(folder: Path, shared_memory_bytes: int) -> None:
    folder.mkdir()
    kernel.mount("tmpfs", str(folder), "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, _SMALL)
    for name in DEVICES:
        (folder / name).touch()
        kernel.mount(f"/dev/{name}", str(folder / name), None, kernel.MS_BIND)
    for name, link in _LINKS.items():
        (folder / name).symlink_to(link)
    for name, kind, data in (
        ("shm", "tmpfs", f"size={shared_memory_bytes},nr_inodes=65536,mode=1777"),
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
    ):
        (folder / name).mkdir()
        kernel.mount(kind, str(folder / name), kind, kernel.MS_NOSUID | kernel.MS_NOEXEC, data)
    (folder / "ptmx").symlink_to("pts/ptmx")


def _processes(folder: Path) -> None:
    folder.mkdir()
    kernel.mount("proc", str(folder), "proc", _CLOSED | kernel.MS_NOEXEC)
    for name in MASKED:
        if (folder / name).exists():
            kernel.mount("/dev/null", str(folder / name), None, kernel.MS_BIND)
    for name in FIXED:
        if (folder / name).exists():
            kernel.mount(str(folder / name), str(folder / name), None, kernel.MS_BIND | kernel.MS_REC)
            kernel.restrict(str(folder / name), kernel.MS_RDONLY)


def _fix(place: str) -> None:
    """Let nothing more be made in a file system of our own; what is mounted in it stays as it is."""
    kernel.mount("none", place, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID)


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _make_target(source: Path, target: Path) -> None:
    """Something to mount on: a folder for a folder, a file for anything else."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
