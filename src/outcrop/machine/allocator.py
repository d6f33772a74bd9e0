"""Settings of glibc's memory allocator with which the worker starts: they make a training step a twentieth faster.

A training step takes and gives back the same blocks over and over. By default the kernel gets many of them back at once
and must clear them page by page when they are taken again (docs/performance.md says what that cost). Here freed blocks
stay with the process, all but the largest, which would tear holes that nothing fits into; and memory comes in huge
pages where the kernel grants them. What stays is given back when the worker ends, which it does after each job.

The allocator reads them when a process starts, never again. Other C libraries ignore them.
"""

import os

_TUNABLES = {
    "glibc.malloc.hugetlb": 1,  # ask for huge pages
    "glibc.malloc.mmap_threshold": 8 << 20,  # smaller blocks are not mapped apart, and so not unmapped when freed
    "glibc.malloc.trim_threshold": 1 << 40,  # the end of the heap is not given back
    "glibc.malloc.top_pad": 64 << 20,  # nor is it asked for in small pieces
    "glibc.malloc.arena_max": 1,  # heaps of other threads would be given back, whatever is said above
}


def for_training() -> dict[str, str]:
    """Environment variables of a process that trains. Whoever has set them otherwise keeps what they set."""
    ours = ":".join(f"{name}={value}" for name, value in _TUNABLES.items())
    return {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ours)}
