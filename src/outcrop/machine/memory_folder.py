"""Folders in memory, for programs that insist on files where nothing may lie on the disk in clear.

They are this user's alone, in the machine's file system of memory, and gone when the machine is switched off. A process
that is killed leaves its folder to its successor. What lies there is memory that is used: `df /dev/shm` shows how much.
"""

import hashlib
import os
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from outcrop import private
from outcrop.errors import Invalid

_SHARED_MEMORY = Path("/dev/shm")


def memory_folder(home: Path, name: str) -> Path:
    """The folder of this name of a home, made where it is missing. Raises Invalid, NotPrivate, OSError."""
    check()
    place = private.private_folder(_of_home(home))
    folder = private.private_folder(place / name)
    private.private_folder(place)  # where the last one of this home has just gone, the place went with it
    return folder


def run_folder(home: Path, runs: Path, name: str, *, in_memory: bool) -> Path:
    """The folder of a job under `runs`, or in memory; then an empty one there says that it is needed."""
    (runs / name).mkdir(parents=True, exist_ok=True)
    return memory_folder(home, name) if in_memory else runs / name


def remove_run_folder(home: Path, runs: Path, name: str) -> None:
    """Remove a job's folder, wherever it is."""
    shutil.rmtree(runs / name, ignore_errors=True)
    remove_memory_folder(home, name)


def remove_memory_folder(home: Path, name: str, *, but: str = "") -> None:
    """Remove the folder with all that is in it, and those of its leases (`name.number`), `but` excepted."""
    place = _of_home(home)
    for folder in [place / name, *place.glob(f"{name}.*")]:
        if folder.name != but:
            shutil.rmtree(folder, ignore_errors=True)
    _remove_empty(place)


def clear_memory(home: Path, runs: Path, *, older_than: datetime, leases_only: bool = False) -> None:
    """Remove what processes that were killed have left in this machine's memory, but for that of jobs that run.

    `leases_only`: only folders that bear the number of a lease; others may be of commands and imports at work.
    """
    keep = {path.name for path in runs.iterdir()} if runs.is_dir() else set()
    place = _of_home(home)
    for folder in place.glob("*"):
        if leases_only and not folder.suffix[1:].isdecimal():
            continue
        if folder.name not in keep and folder.stat().st_mtime < older_than.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
    _remove_empty(place)


def _remove_empty(place: Path) -> None:
    with suppress(OSError):  # others are in it, or it never was
        place.rmdir()


def check() -> None:
    """Raises Invalid on a machine without files in memory."""
    if not _SHARED_MEMORY.is_dir():
        raise Invalid(
            "Nothing is sealed on this machine: what trains needs files in memory for that, and there is no "
            f"{_SHARED_MEMORY}. Use Linux, or leave the key out and encrypt the disk."
        )


def _of_home(home: Path) -> Path:
    digest = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
    return _SHARED_MEMORY / f"outcrop-{os.geteuid()}-{digest}"
