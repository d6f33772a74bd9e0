"""Settings of glibc's memory allocator with which workers and engines start.

They make a training step a twentieth faster, and a decoding step a fifth, whose weights then lie in huge pages. A step
takes and gives back the same blocks over and over. By default the kernel gets many of them back at once and must clear
them page by page when they are taken again (docs/log.md says what that cost). Here freed blocks stay with the process,
all but the largest, which would tear holes that nothing fits into; and memory comes in huge pages where the kernel
grants them. A worker ends after each job; an engine gives back once, when it has loaded (`give_back`).

The allocator reads them when a process starts, never again. Other C libraries ignore them.
"""

import ctypes
import os

_TUNABLES = {
    "glibc.malloc.hugetlb": 1,  # ask for huge pages
    "glibc.malloc.mmap_threshold": 8 << 20,  # smaller blocks are not mapped apart, and so not unmapped when freed
    "glibc.malloc.trim_threshold": 1 << 40,  # the end of the heap is not given back
    "glibc.malloc.top_pad": 64 << 20,  # nor is it asked for in small pieces
    "glibc.malloc.arena_max": 1,  # heaps of other threads would be given back, whatever is said above
}


def for_tensors() -> dict[str, str]:
    """Environment variables of a process that trains or serves. Whoever has set them otherwise keeps what they set."""
    ours = ":".join(f"{name}={value}" for name, value in _TUNABLES.items())
    return {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ours)}


def give_back() -> None:
    """Give free memory back to the system, as after loading, which holds each weight twice for a moment."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
