"""How glibc's allocator is told to treat a process that trains: before it starts, for it is not asked again.

A training step takes and gives back the same large blocks over and over. By default each goes back to the kernel at
once, which must clear it page by page before it is taken again; a tenth of a step or more went there
(docs/performance.md). Here freed memory stays with the process, and comes in huge pages where the kernel grants them.
What a process held at its peak it thus holds to its end: that is bounded by the tokens of a row, and a worker ends
after each job. Other C libraries ignore all of this.
"""

import os

_TUNABLES = {
    "glibc.malloc.hugetlb": 1,  # ask for huge pages
    "glibc.malloc.mmap_max": 0,  # nothing is mapped apart, and so unmapped when it is freed
    "glibc.malloc.trim_threshold": 1 << 40,  # the end of the heap is not given back
    "glibc.malloc.top_pad": 64 << 20,  # nor is it asked for in small pieces
}


def environment() -> dict[str, str]:
    """Variables of the environment to start with. Whoever has set them otherwise keeps what they set."""
    ours = ":".join(f"{name}={value}" for name, value in _TUNABLES.items())
    return {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ours)}
