"""Child processes that end with their parent."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Let the kernel end this process when its parent dies, however it dies. Linux only; elsewhere nothing happens.

    Call it first thing in the child. Without it a parent ended by `kill -9` would leave children that hold the port.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:  # the parent was gone before the line above
            os._exit(1)
