"""The user that a sandboxed program is, for the machine: one of its own where root starts it."""

import os
import zlib
from pathlib import Path

from outcrop.isolation.inside.messages import INSIDE_USER

_MOST = 2**31 - 2
"Above it, programs take numbers for negative ones."
_SPREAD = 2**24
_NEEDED = (1 << 21) | (1 << 6) | (1 << 7) | (1 << 0)
"Rights to mount, to become another user and group, and to give files away."


def separate_user(root: Path) -> int | None:
    """Number of a user that nobody else is, always the same for a folder; None without the rights.

    The machine knows no name for it. Two sandboxes have two users, so that neither could touch what the other left.
    """
    if os.geteuid() or not _has_rights():
        return None
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    first, num = max(((int(inside), int(num)) for inside, _, num in ranges), key=lambda each: each[1])
    last = min(first + num - 1, _MOST)
    # The upper half of what there is, where ordinary users are not found.
    spread = min(_SPREAD, (last - first) // 2)
    if spread < INSIDE_USER:
        return None
    return last - zlib.crc32(os.fsencode(root.resolve())) % spread


def _has_rights() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & _NEEDED == _NEEDED
    return False
