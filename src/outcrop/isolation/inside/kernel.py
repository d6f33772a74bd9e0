"""Linux calls that Python 3.11 does not offer: namespaces, mounts, capabilities, no new privileges.

Standard library only, as all of `inside`: it is imported by a bare interpreter, and within the sandbox itself.
Each function raises OSError with what was being done and to which path.
"""

import ctypes
import errno
import os
import signal
import socket
import struct
from fcntl import ioctl

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CAPABILITY_VERSION = 0x20080522
_LAST_CAPABILITY = 63

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_MOUNT_SETATTR = 442
"One number on all architectures, as every call since 2019."

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Namespaces of its own for this process, or for its children where it is that of process ids."""
    try:
        _check(_libc.unshare(flags), "a namespace of its own")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, "the kernel allows no more namespaces (sysctl user.max_user_namespaces)"
            ) from error
        raise


def join(descriptor: int) -> None:
    """Enter the namespace behind a descriptor."""
    _check(_libc.setns(descriptor, 0), "joining a namespace")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """The system call of that name."""
    result = _libc.mount(source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(result, f"mounting {kind or source} at {target}")


def restrict(target: str, flags: int) -> None:
    """Restrictions added to a mount and all below it; those that it has stay."""
    attributes = struct.pack("QQQQ", flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC), 0, 0, 0)
    result = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes))
    )
    _check(result, f"restricting {target}")


def become_root_of(folder: str) -> None:
    """Make a mounted folder the root of this mount namespace, and let go of the one there was."""
    os.chdir(folder)
    # Both names are the same place: the old root then lies on top of the new one, and is taken off.
    _check(_libc.syscall(_number(_PIVOT_ROOT), b".", b"."), f"making {folder} the root")
    _check(_libc.umount2(b".", _MNT_DETACH), "letting go of the old root")
    os.chdir("/")


def set_hostname(name: str) -> None:
    """Name this UTS namespace's host."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "naming the host")


def raise_loopback() -> None:
    """Switch on the loopback device of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        name = b"lo".ljust(16, b"\0")
        _, flags = struct.unpack("16sH", ioctl(asking, _SIOCGIFFLAGS, name + bytes(24))[:18])
        ioctl(asking, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | _IFF_UP))


def die_with_parent() -> None:
    """Let the kernel end this process when its parent dies. A change of user takes it back: call it after one."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Make this process the parent of whatever its children leave behind."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def closed_to_tracing() -> None:
    """Let no process of the same user trace this one, or look at its memory and files."""
    _prctl(_PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """Let no program that this process runs gain anything by a file's set-user-id bit or capabilities."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_bounding_set() -> None:
    """Let no program that this process runs ever have a capability."""
    for capability in range(_LAST_CAPABILITY + 1):
        # Those that the kernel does not know, and all of them where this process may not change the set.
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    _check(_libc.syscall(_number(_CAPSET), header, bytes(24)), "giving up capabilities")


def filter_calls(instructions: bytes) -> None:
    """Put a seccomp filter before every system call of this process and of its children."""

    class Instructions(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("first", ctypes.c_char_p))

    held = Instructions(len(instructions) // 8, instructions)
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(held), 0, 0), "filtering system calls")


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, value, 0, 0, 0), f"prctl {option}")


def _number(numbers: dict[str, int]) -> int:
    machine = os.uname().machine
    if machine not in numbers:
        raise OSError(errno.ENOSYS, f"system calls of {machine} are not known here")
    return numbers[machine]


def _check(result: int, doing: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
