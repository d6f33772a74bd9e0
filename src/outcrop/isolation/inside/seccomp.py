"""System calls that a sandboxed program does not get, as a filter for the kernel.

The namespaces do the work; this closes what no namespace covers: nested user namespaces with all their rights in the
kernel's rarely tried corners, kernel keyrings, sockets of families that no network namespace holds, typing into a
terminal. On processors other than x86_64 and aarch64 there is no filter, and the rest holds by itself.
"""

import errno
import os
import socket
import struct
import termios
from collections.abc import Sequence

from outcrop.isolation.inside.kernel import CLONE_NEWUSER

_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"What the kernel calls the architecture of a call."
_X32 = 0x40000000
"Calls of x86_64 from this number on are those of a second, rarely used table."

_NUMBERS = {
    "x86_64": {
        "socket": 41, "clone": 56, "shmget": 29, "unshare": 272, "setns": 308, "ioctl": 16,
        "add_key": 248, "request_key": 249, "keyctl": 250, "memfd_create": 319,
        "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
        "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
        "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "open_by_handle_at": 304,
        "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "reboot": 169,
        "swapon": 167, "swapoff": 168, "syslog": 103, "acct": 163, "quotactl": 179, "lookup_dcookie": 212,
    },
    "aarch64": {
        "socket": 198, "clone": 220, "shmget": 194, "unshare": 97, "setns": 268, "ioctl": 29,
        "add_key": 217, "request_key": 218, "keyctl": 219, "memfd_create": 279,
        "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294,
        "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "open_by_handle_at": 265,
        "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266, "reboot": 142,
        "swapon": 224, "swapoff": 225, "syslog": 116, "acct": 89, "quotactl": 60, "lookup_dcookie": 18,
    },
}  # fmt: skip
_SINCE_2019 = {"io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "clone3": 435,
               "mount_setattr": 442, "memfd_secret": 447}  # fmt: skip
"One number on all architectures."

_AS_IF_UNKNOWN = ("clone3", "io_uring_setup", "add_key", "request_key", "keyctl")
"Programs ask whether the kernel has these and take another way; `clone3` hides its flags from a filter."
_OF_MEMORY = ("memfd_create", "memfd_secret", "shmget")
"Ways to hold memory that no process has to show."
_LOOKED_AT = ("socket", "clone", "ioctl")
_TYPING = (termios.TIOCSTI, 0x541C)
"Requests to a terminal: type this as if somebody had, and the same of a console."
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_CALL, _ARCH, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
"Where the kernel's description of a call has its parts; arguments are 8 bytes, little end first."


def instructions(*, hidden_memory: bool) -> bytes | None:
    """The filter of this machine's processor, or None where its calls are not known here.

    `hidden_memory` allows memory that belongs to no process: only where a control group counts it.
    """
    machine = os.uname().machine
    if machine not in _NUMBERS:
        return None
    numbers = _NUMBERS[machine] | _SINCE_2019
    kept = (*_LOOKED_AT, *(_OF_MEMORY if hidden_memory else ()))
    program = [
        _one(_LOAD, value=_ARCH),
        _one(_EQUAL, value=_ARCHITECTURE[machine], yes=1),
        _refuse(errno.EPERM),
        _one(_LOAD, value=_CALL),
        _one(_AT_LEAST, value=_X32, no=1),
        _refuse(errno.ENOSYS),
    ]
    for name, number in numbers.items():
        if name not in kept:
            unknown = name in _AS_IF_UNKNOWN or name in _OF_MEMORY
            program += [_one(_EQUAL, value=number, no=1), _refuse(errno.ENOSYS if unknown else errno.EPERM)]
    program += _when(numbers["clone"], _FIRST_ARGUMENT, [_one(_ANY_BIT, value=CLONE_NEWUSER, no=1)], errno.EPERM)
    typing = [_one(_EQUAL, value=_TYPING[0], yes=1), _one(_EQUAL, value=_TYPING[1], no=1)]
    program += _when(numbers["ioctl"], _SECOND_ARGUMENT, typing, errno.EPERM)
    families = [_one(_EQUAL, value=family, yes=len(_FAMILIES) - place) for place, family in enumerate(_FAMILIES)]
    program += _when(numbers["socket"], _FIRST_ARGUMENT, families, errno.EAFNOSUPPORT)
    return b"".join([*program, _one(_RETURN, value=_ALLOW)])


def _when(number: int, argument: int, tests: Sequence[bytes], error: int) -> list[bytes]:
    """Instructions for one call: its argument is looked at, and it is refused unless a test jumps over that."""
    body = [_one(_LOAD, value=argument), *tests, _refuse(error), _one(_LOAD, value=_CALL)]
    return [_one(_EQUAL, value=number, no=len(body)), *body]


def _refuse(error: int) -> bytes:
    return _one(_RETURN, value=_ERROR | error)


def _one(code: int, *, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
