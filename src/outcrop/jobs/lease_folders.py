"""The folders of a lease: they bear its number, as does what is written under it.

A file cannot be written under a condition, as a row can. So whoever takes a job up renames its folder, in one step, to
the number of the new lease. Every path of the worker before leads nowhere from then on, or to a folder that nobody
reads.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from outcrop.jobs.running import LeaseLost


def take_up(parent: Path, name: str, number: int) -> Path:
    """The folder of a lease; what earlier leases have left is in it. It need not be there.

    Raises LeaseLost where a later lease has a folder.
    """
    own = _path(parent, name, number)
    while True:
        found = dict(_numbered(parent, name))
        if found and max(found) > number:
            raise LeaseLost(f"{own}: a later lease of this job has a folder. Nothing to do.")
        if not found or number in found:
            return own
        try:
            found[max(found)].rename(own)
        except FileNotFoundError:
            continue  # its own worker renamed it in this moment: it is found under another name


def newest(parent: Path, name: str) -> Path:
    """The folder that the job's worker uses now; where there is none, the one that an unnumbered lease would have."""
    return max(_numbered(parent, name), default=(0, parent / name))[1]


def remove(parent: Path, name: str, *, number: int | None = None) -> None:
    """Remove the folders of every lease of a job, or of the one with this number."""
    for each, path in list(_numbered(parent, name)):
        if number is None or each == number:
            shutil.rmtree(path, ignore_errors=True)


def _path(parent: Path, name: str, number: int) -> Path:
    return parent / (f"{name}.{number}" if number else name)


def _numbered(parent: Path, name: str) -> Iterator[tuple[int, Path]]:
    if (parent / name).exists():
        yield 0, parent / name  # of a run without a lease, or of an older program
    for path in parent.glob(f"{name}.*"):
        ending = path.name.removeprefix(f"{name}.")
        if ending.isdecimal():
            yield int(ending), path
