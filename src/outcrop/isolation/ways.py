"""Ways to keep a program apart, and the command that starts each."""

import os
import shutil
import sys
from enum import Enum
from pathlib import Path

from outcrop.errors import MachineTrouble
from outcrop.isolation import bubblewrap
from outcrop.isolation.layout import CODE
from outcrop.isolation.orders import Orders

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from outcrop.isolation.inside.launch import main; "
    "main(sys.argv[2], int(sys.argv[3]))"
)
_JOIN = (
    "import sys; sys.path.insert(0, sys.argv[1]); from outcrop.isolation.inside.joining import main; "
    "main(sys.argv[2].split(','), sys.argv[3:])"
)
_SOURCES = Path(__file__).parent.parent.parent


class Isolation(Enum):
    """A way to run somebody else's program."""

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "namespaces"
    PLAIN = "plain"
    "Not apart at all: a process of this user, limited and watched. Only where the administrator allows it."


def command(way: Isolation, orders: Orders, descriptor: int) -> list[str]:
    """The command of a sandbox's first process, with its orders behind a descriptor. Raises MachineTrouble."""
    # The interpreter itself: inside there is no virtual environment of ours, and nothing of one is needed.
    bare = [os.path.realpath(sys.executable), "-I", "-S", "-B", "-c"]
    first = [*bare, _START]
    if way is not Isolation.BUBBLEWRAP:
        return [*first, str(_SOURCES), way.value, str(descriptor)]
    program = shutil.which("bwrap")
    if program is None:
        raise MachineTrouble("bubblewrap is not installed. On Debian and Ubuntu: apt install bubblewrap.")
    arguments = bubblewrap.arguments(program, orders, [*first, CODE, way.value, str(descriptor)])
    joining = [*bare, _JOIN, str(_SOURCES), ",".join(map(str, orders.joins))] if orders.joins else []
    return [*joining, *arguments]
