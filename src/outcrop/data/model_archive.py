"""model.tar.gz, as SageMaker's training jobs leave it, unpacked with care.

Only the files of a model come out of it, under their own names: no path leads out of the folder, no link is followed,
and what would be larger than the disk has room for is not written.
"""

import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from outcrop.catalog import model_files
from outcrop.errors import Invalid, MachineTrouble

ENDINGS = (".tar.gz", ".tgz")
_MOST_MEMBERS = 10_000
_SPARE_BYTES = 256 << 20
_ROOTS = ("adapter_config.json", "config.json")


def unpack(archive: Path, folder: Path) -> Path:
    """Write the model's files of the archive into `folder`, anew, and return it.

    Raises Invalid for an archive that is damaged, or holds no model.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with tarfile.open(archive, "r:gz") as opened:
            members = _members(opened, archive.name, room=shutil.disk_usage(archive.parent).free)
            root = _root(members, archive.name)
            inside = {name.removeprefix(root): member for name, member in members.items() if name.startswith(root)}
            sizes = {name: member.size for name, member in inside.items()}
            wanted = model_files.wanted_files(sizes, place=archive.name)
            _check_room(folder, sum(wanted.values()))
            folder.mkdir(parents=True)
            for name in wanted:
                source = opened.extractfile(inside[name])
                assert source is not None, "an ordinary file"
                with source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Invalid(f"{archive.name}: no whole tar.gz archive ({error}). Upload it again.") from error
    return folder


def _members(opened: tarfile.TarFile, name: str, *, room: int) -> dict[str, tarfile.TarInfo]:
    """The ordinary files of the archive, by their paths. Raises Invalid for a path that leads elsewhere."""
    found: dict[str, tarfile.TarInfo] = {}
    total = 0
    for number, member in enumerate(opened):
        # Told before it is read past: a few kilobytes may stand for any number of zeros.
        total += member.size
        if total > room:
            raise Invalid(f"{name}: holds more than the {room / 2**30:.1f} GiB that the disk has room for.")
        if number >= _MOST_MEMBERS:
            raise Invalid(f"{name}: more than {_MOST_MEMBERS:,} files, and a model has few. Pack the model alone.")
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name:
            raise Invalid(f"{name}: {member.name[:100]!r} leads out of the archive. Pack it with relative paths.")
        if member.isfile():
            found[path.as_posix()] = member
        elif not member.isdir():
            raise Invalid(f"{name}: {member.name[:100]!r} is a link or a device. Pack ordinary files only.")
    return found


def _root(members: dict[str, tarfile.TarInfo], name: str) -> str:
    """The folder of the archive that holds the model, with a slash at its end; the outermost one."""
    places = [path for path in members if path.rpartition("/")[2] in _ROOTS]
    if not places:
        raise Invalid(f"{name}: holds neither config.json nor adapter_config.json. Pack a Hugging Face directory.")
    before, slash, _ = min(places, key=lambda path: (path.count("/"), path)).rpartition("/")
    return before + slash


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder.parent).free
    if needed + _SPARE_BYTES > free:
        raise MachineTrouble(
            f"The model's files are {needed / 2**30:.1f} GiB unpacked, and {free / 2**30:.1f} are free on the disk. "
            "Make room, and ask again."
        )
