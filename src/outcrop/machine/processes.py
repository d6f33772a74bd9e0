"""Processes as the kernel sees them: children that end with their parent, and how many files one may have open."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_ENOUGH_FILES = 2**16


def die_with_parent() -> None:
    """Let the kernel end this process when its parent dies, however it dies. Linux only; elsewhere nothing happens.

    Call it first thing in the child. Without it a parent ended by `kill -9` would leave children that hold the port.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:  # the parent was gone before the line above
            os._exit(1)


def allow_many_files() -> None:
    """Let this process and its children have as many files open as the system lets them.

    Each request that is being answered holds one or two. Systems give 1,024 to programs that may use `select`, and more
    to those that ask, as these do: nothing here uses `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
