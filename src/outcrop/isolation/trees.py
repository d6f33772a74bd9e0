"""Folders that somebody else's program has written, walked without being led astray.

No symbolic link is followed: each folder is opened by its name in the folder above, which stays open meanwhile.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST_DEEP = 100
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class TooDeep(OSError):
    """Folders within folders, more than this project follows."""


@dataclass(frozen=True, kw_only=True)
class TreeEntry:
    """A name below a folder, as it was when it was looked at."""

    path: str
    "From the folder that is walked, with `/` between the names."
    name: str
    folder: int
    "Descriptor of the folder that holds it; open until the walk goes on."
    stat: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.stat.st_mode)


def walk(folder: Path, *, folders_last: bool = False) -> Iterator[TreeEntry]:
    """Everything below a folder, a folder before what is in it, or after with `folders_last`.

    Folders that their owner took every right from are given them back. What vanishes meanwhile is passed over.
    Raises TooDeep below 100 levels.
    """
    top = os.open(folder, _OPEN_FOLDER)
    try:
        yield from _below(top, "", 0, folders_last)
    finally:
        os.close(top)


def _below(folder: int, path: str, depth: int, folders_last: bool) -> Iterator[TreeEntry]:
    if depth > MOST_DEEP:
        raise TooDeep(errno.ELOOP, f"folders more than {MOST_DEEP} deep")
    for name in sorted(os.listdir(folder)):
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        entry = TreeEntry(path=f"{path}{name}", name=name, folder=folder, stat=found)
        if not (folders_last and entry.is_folder):
            yield entry
        if entry.is_folder:
            with suppress(FileNotFoundError, NotADirectoryError):
                inner = open_folder(name, folder)
                try:
                    yield from _below(inner, f"{entry.path}/", depth + 1, folders_last)
                finally:
                    os.close(inner)
            if folders_last:
                yield entry


def open_folder(name: str, folder: int) -> int:
    """Descriptor of a folder within another, which is no symbolic link; its owner can read and change it afterwards."""
    try:
        descriptor = os.open(name, _OPEN_FOLDER, dir_fd=folder)
    except PermissionError:
        _give_back(name, folder)
        return os.open(name, _OPEN_FOLDER, dir_fd=folder)
    if os.geteuid() and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o700 != 0o700:
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o700)
    return descriptor


def open_file(name: str, folder: int) -> int:
    """Descriptor, to read from, of a regular file in a folder. Raises OSError for anything else, and opens nothing."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    # What was found is opened through its descriptor: whatever has the name by now, it is what was looked at.
    itself = f"/proc/self/fd/{found}"
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise OSError(errno.EINVAL, f"{name} is no regular file")
        try:
            return os.open(itself, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            os.chmod(itself, 0o600)
            return os.open(itself, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)


def _give_back(name: str, folder: int) -> None:
    """Give the owner of a folder the rights to it. What else stands there by now is left alone."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISDIR(os.fstat(found).st_mode):
            os.chmod(f"/proc/self/fd/{found}", 0o700)
    finally:
        os.close(found)
