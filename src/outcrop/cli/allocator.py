"""How glibc's allocator is told to treat a process: before it starts, for it is not asked again.

A training step takes and gives back the same blocks over and over. By default the kernel gets many of them back at once
and must clear them page by page when they are taken again (docs/performance.md says what that cost). Here freed blocks
stay with the process, all but the largest, which would tear holes that nothing fits into; and memory comes in huge
pages where the kernel grants them. What stays is given back when the worker ends, which it does after each job.

The server has dozens of threads, through which blocks of a megabyte pass. Each of its heaps keeps some when all is
freed, so it is given two.

Other C libraries ignore all of this.
"""

import os

_FOR_WORKER = {
    "glibc.malloc.hugetlb": 1,  # ask for huge pages
    "glibc.malloc.mmap_threshold": 8 << 20,  # smaller blocks are not mapped apart, and so not unmapped when freed
    "glibc.malloc.trim_threshold": 1 << 40,  # the end of the heap is not given back
    "glibc.malloc.top_pad": 64 << 20,  # nor is it asked for in small pieces
    "glibc.malloc.arena_max": 1,  # heaps of other threads would be given back, whatever is said above
}


_FOR_SERVER = {"glibc.malloc.arena_max": 2}


def for_worker() -> dict[str, str]:
    """Variables of the environment to start with. Whoever has set them otherwise keeps what they set."""
    return _environment(_FOR_WORKER)


def for_server() -> dict[str, str]:
    """The same for the server."""
    return _environment(_FOR_SERVER)


def _environment(tunables: dict[str, int]) -> dict[str, str]:
    ours = ":".join(f"{name}={value}" for name, value in tunables.items())
    return {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ours)}
