"""Files that somebody else's program left behind: read, listed and removed without trusting any of them."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from outcrop.errors import MachineTrouble
from outcrop.isolation.trees import MOST_DEEP, open_file, open_folder, walk


@dataclass(frozen=True, kw_only=True)
class LeftFile:
    """A regular file that was left behind, open for reading until the next one is asked for."""

    path: str
    "From the folder that was asked about."
    descriptor: int
    size_bytes: int


def read(folder: Path, path: str, *, most_bytes: int) -> bytes | None:
    """The first bytes of a regular file below a folder; None where there is none.

    Symbolic links on the way, devices, pipes and sockets are as if they were not there.
    """
    *folders, name = path.split("/")
    assert all(part not in ("", ".", "..") for part in (*folders, name)), f"{path} is no path below a folder"
    held = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for each in folders:
            held.append(open_folder(each, held[-1]))
        with _regular(name, held[-1]) as file:
            return file.read(most_bytes)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL):
            return None
        raise
    finally:
        for descriptor in held:
            os.close(descriptor)


def files(folder: Path) -> Iterator[LeftFile]:
    """Every regular file below a folder, in order of names, each open while it is looked at. Nothing else is read."""
    for entry in walk(folder):
        if entry.is_file:
            with suppress(FileNotFoundError), _regular(entry.name, entry.folder) as file:
                size_bytes = os.fstat(file.fileno()).st_size
                yield LeftFile(path=entry.path, descriptor=file.fileno(), size_bytes=size_bytes)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also what nobody has rights to. Links are removed, not followed."""
    held = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    top = open_folder(folder.name, held)
    try:
        while _emptied(top, top, 0):
            pass
    finally:
        os.close(top)
        os.close(held)
    folder.rmdir()


def _emptied(folder: int, top: int, depth: int) -> bool:
    """Remove what is in a folder. Tells whether anything too deep was put into the top one, to be removed later."""
    moved = False
    for name in os.listdir(folder):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
        elif depth == MOST_DEEP:
            os.rename(name, f".removed-{secrets.token_hex(8)}", src_dir_fd=folder, dst_dir_fd=top)
            moved = True
        else:
            inner = open_folder(name, folder)
            try:
                moved |= _emptied(inner, top, depth + 1)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)
    return moved


def give_to(folder: Path, user: int) -> None:
    """Make a user the owner of a folder and all that is in it.

    Raises MachineTrouble for a file of somebody else with a second name: it may belong to a place that is not given.
    """
    os.chown(folder, user, user, follow_symlinks=False)
    for entry in walk(folder):
        if entry.stat.st_uid != user:
            if entry.is_file and entry.stat.st_nlink > 1:
                raise MachineTrouble(
                    f"{folder / entry.path}: has another name elsewhere. Copy it, or show it read only."
                )
            os.chown(entry.name, user, user, dir_fd=entry.folder, follow_symlinks=False)


def _regular(name: str, folder: int) -> BinaryIO:
    return os.fdopen(open_file(name, folder), "rb")
