"""tar.gz files of what others left, and from others: nothing outside is read into one, or written by one.

Symbolic links are kept where they are relative and stay within the folder, also through other links: `..` may stand
only at their beginning, and only as often as there are folders above. Devices, pipes and sockets are never kept.
"""

import errno
import gzip
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from outcrop.errors import Invalid
from outcrop.isolation.limits import size
from outcrop.isolation.trees import MOST_DEEP, TreeEntry, open_file, open_folder, walk

MOST_BYTES = 1024**4
MOST_FILES = 1_000_000
_COPY_BYTES = 1024**2
_HEADER_BYTES = 1024**2
"Of a name or of attributes that stand before a member; tarfile reads them into memory whole."
_NAME_BYTES = 255
_COMPRESSION = 1
"Weights hardly shrink: the quickest level takes a fifth of the time of the best, for some percent more."
_TARGET_BYTES = 4096
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE)


@dataclass(frozen=True, kw_only=True)
class PackedFolder:
    """Contents of an archive that was packed, and what was left out of it."""

    paths: tuple[str, ...]
    left_out: tuple[str, ...]
    "A sentence for each thing that is neither a file, a folder nor a link that stays within."


def pack(folder: Path, archive: BinaryIO, *, more: Sequence[Path] = (), most_bytes: int = MOST_BYTES) -> PackedFolder:
    """Write a folder as tar.gz; the same content gives the same bytes. Its files must not change meanwhile.

    What is in the folders of `more` goes beside it; where a name is taken, it is left out.
    Owners, times and set-user-id bits are not kept. A file with several names is written as often.
    Raises Invalid when the files have more than `most_bytes`, or folders lie more than 100 deep.
    """
    paths: list[str] = []
    left_out: list[str] = []
    left = most_bytes
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", compresslevel=_COMPRESSION, mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in _merged((folder, *more), left_out):
            member = tarfile.TarInfo(entry.path)
            executable = entry.stat.st_mode & stat.S_IXUSR
            member.mode = 0o755 if executable or entry.is_folder else 0o644
            if entry.is_folder:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif entry.is_link and _stays_within(target := _target(entry), entry.path.count("/")):
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
                tar.addfile(member)
            elif entry.is_file:
                with os.fdopen(open_file(entry.name, entry.folder), "rb") as file:
                    member.size = os.fstat(file.fileno()).st_size
                    left -= member.size
                    if left < 0:
                        raise Invalid(f"{folder.name}: its files have more than {size(most_bytes)}. Leave fewer there.")
                    tar.addfile(member, file)
            else:
                left_out.append(f"{entry.path}: {_why_left_out(entry)}")
                continue
            paths.append(entry.path)
    return PackedFolder(paths=tuple(paths), left_out=tuple(left_out))


def unpack(archive: BinaryIO, folder: Path, *, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> list[str]:
    """Paths of what a tar file, compressed or not, has put into a folder.

    Raises Invalid, naming the member, at the first thing that is outside of the folder, or no file, folder or link,
    and when its members are more, or have more bytes, than they may. What came before it stays in the folder.
    """
    paths = []
    left = most_bytes
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with tarfile.open(fileobj=archive, mode="r|*", tarinfo=_CheckedMember) as tar:
            for number, member in enumerate(tar):
                if number == most_files:
                    raise Invalid(f"The archive has more than {most_files:,} members. Put less into it.")
                left -= max(member.size, 0)
                if left < 0:
                    raise Invalid(
                        f"{member.name}: the archive unpacks to more than {size(most_bytes)}. Put less into it."
                    )
                parts = _parts(member.name)
                if parts:
                    _put(tar, member, parts, top)
                    paths.append("/".join(parts))
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise
        raise Invalid(f"The archive cannot be unpacked: {error}") from error
    finally:
        os.close(top)
    return paths


class _CheckedMember(tarfile.TarInfo):
    """A member whose header is looked at before anything that it announces is read."""

    _LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_CheckedMember":
        member = super().frombuf(buf, encoding, errors)
        if member.type in cls._LONG and member.size > _HEADER_BYTES:
            raise tarfile.ReadError(f"a name or attributes of {size(member.size)}")
        return member


def _merged(folders: Sequence[Path], left_out: list[str]) -> Iterator[TreeEntry]:
    """Entries of several folders, each path once: that of the first folder that has it, but for folders themselves."""
    is_folder: dict[str, bool] = {}
    for folder in folders:
        kept: dict[str, bool] = {}
        for entry in _entries(folder):
            if is_folder.get(entry.path) and entry.is_folder:
                continue
            if any(is_folder.get(above) is False for above in _with_those_above(entry.path)) or entry.path in is_folder:
                left_out.append(f"{entry.path}: another instance has something of that name")
                continue
            kept[entry.path] = entry.is_folder
            yield entry
        is_folder |= kept


def _with_those_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]


def _entries(folder: Path) -> Iterator[TreeEntry]:
    try:
        yield from walk(folder)
    except OSError as error:
        raise Invalid(f"{folder.name}: it cannot be packed: {error.strerror or error}.") from error


def _target(entry: TreeEntry) -> str:
    return os.readlink(entry.name, dir_fd=entry.folder)


def _stays_within(target: str, depth: int) -> bool:
    """Whether a link's target, followed from `depth` folders below the top, leads to no place outside."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    return not target.startswith("/") and 0 < len(target) < _TARGET_BYTES and ups <= depth and ".." not in parts[ups:]


def _why_left_out(entry: TreeEntry) -> str:
    return "a link that leads, or may lead, outside" if entry.is_link else "no file, folder or link"


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise Invalid(f"{name}: the archive names a place outside of itself. Pack it with relative names.")
    if len(parts) > MOST_DEEP or any(len(os.fsencode(part)) > _NAME_BYTES or "\0" in part for part in parts):
        raise Invalid(f"{name[:200]}: a name in the archive that no file can have here. Shorten it.")
    return parts


def _put(tar: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str], top: int) -> None:
    *folders, name = parts
    with _opened(folders, top) as folder:
        if member.isdir():
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=folder)
            os.close(open_folder(name, folder))
            return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)  # a later member of the same name counts, as with tar itself
        if member.issym():
            if not _stays_within(member.linkname, len(folders)):
                raise Invalid(f"{member.name}: a link that leads outside of the archive. Put the file itself there.")
            os.symlink(member.linkname, name, dir_fd=folder)
        elif member.islnk():
            *source_folders, source = _parts(member.linkname) or [""]
            with _opened(source_folders, top) as source_folder:
                os.close(open_file(source, source_folder))
                os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
        elif member.isreg():
            _write(tar, member, name, folder)
        else:
            raise Invalid(f"{member.name}: neither a file, a folder nor a link. Leave it out of the archive.")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, folder: int) -> None:
    mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    content = tar.extractfile(member)
    assert content is not None, "a regular member has content"
    with os.fdopen(os.open(name, flags, mode, dir_fd=folder), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask
        while piece := content.read(_COPY_BYTES):
            file.write(piece)


@contextmanager
def _opened(folders: list[str], top: int) -> Iterator[int]:
    """A folder below the top, made where it is missing; a link on the way to it is an error."""
    with ExitStack() as opened:
        folder = top
        for name in folders:
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=folder)
            folder = open_folder(name, folder)
            opened.callback(os.close, folder)
        yield folder
