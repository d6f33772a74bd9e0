"""Start of bubblewrap in the network of another sandbox.

bubblewrap has no option for that, so it is started from within.
"""

from __future__ import annotations

import os

from outcrop.isolation.inside import kernel


def main(descriptors: list[str], command: list[str]) -> None:
    """Enter the namespaces behind the descriptors, and become the command."""
    for descriptor in map(int, descriptors):
        kernel.join(descriptor)
        os.close(descriptor)
    os.execv(command[0], command)
