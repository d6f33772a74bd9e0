"""The files and folders that show inside a sandbox: programs and libraries to read, and its own.

A value is made here, and nothing is mounted. Folders and small files that the sandbox owns are prepared on disk.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from outcrop.errors import MachineTrouble
from outcrop.isolation.inside.messages import ENDPOINT_SOCKET
from outcrop.isolation.orders import MountOrder

OPT_ML = "/opt/ml"
HOME = "/home/user"
CODE = "/run/outcrop/code"
USER = "user"
_PROGRAMS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SYSTEM_FILES = (
    "alternatives", "ca-certificates", "crypto-policies", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "mime.types", "pki/ca-trust", "pki/tls/certs", "protocols", "services", "ssl/certs",
    "OpenCL", "vulkan",
)  # fmt: skip
"Of /etc, where they are there; none of them is secret."
_OF_NETWORK = "resolv.conf"


def system_mounts(*, network: bool) -> list[MountOrder]:
    """Programs and libraries of this machine, and what they read in /etc."""
    shown = [Path("/usr"), Path(sys.base_prefix).resolve()]
    shown += [folder for name in _PROGRAMS if (folder := Path("/", name)).is_dir() and not folder.is_symlink()]
    etc = [Path("/etc", name) for name in (*_SYSTEM_FILES, *([_OF_NETWORK] if network else []))]
    return [
        *(MountOrder(source=str(path), target=str(path)) for path in dict.fromkeys(shown)),
        *(MountOrder(source=str(path.resolve()), target=str(path)) for path in etc if path.exists()),
        MountOrder(source=str(Path(__file__).parent), target=f"{CODE}/outcrop/isolation"),
    ]


def system_links() -> list[list[str]]:
    """Symbolic links of the root folder, as this machine has them."""
    links = [[os.readlink(path), str(path)] for name in _PROGRAMS if (path := Path("/", name)).is_symlink()]
    return [*links, ["/tmp", "/var/tmp"]]


def own_folders(root: Path, opt_ml: Path) -> dict[str, Path]:
    """Folders that the program may write to, by their path inside; made where they are missing."""
    (root / "root").mkdir(parents=True, exist_ok=True)
    folders = {OPT_ML: opt_ml, "/tmp": root / "tmp", HOME: root / "home"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    return folders


def own_files(root: Path, names: Mapping[str, str], user: int, *, network: bool) -> list[MountOrder]:
    """Small files of /etc that a sandbox has for itself. `names`: of hosts, with their addresses; its own is first."""
    folder = root / "etc"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = {
        "passwd": f"root:x:0:0::/nowhere:/usr/sbin/nologin\n{USER}:x:{user}:{user}::{HOME}:/bin/sh\n",
        "group": f"root:x:0:\n{USER}:x:{user}:\n",
        "hostname": f"{next(iter(names))}\n",
        # Not the machine's: it may ask services of the machine that cannot be reached.
        "nsswitch.conf": f"passwd: files\ngroup: files\nhosts: files{' dns' if network else ''}\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n" + "".join(f"{names[each]} {each}\n" for each in names),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    return [MountOrder(source=str(folder / name), target=f"/etc/{name}") for name in texts]


def given_mounts(
    read_only: Iterable[Path], shown: Mapping[str, Path], devices: Iterable[Path], own: Mapping[str, Path]
) -> list[MountOrder]:
    """Mounts that the caller wants; a place within a folder of the program is made there.

    Raises MachineTrouble for what is not there, and where the program has put a symbolic link in the way.
    """
    wanted = [(path.absolute(), str(path.absolute()), False) for path in read_only]
    wanted += [(path.absolute(), target, False) for target, path in shown.items()]
    wanted += [(path, str(path), True) for path in devices]
    orders = []
    # Outer folders first, or they would hide what was mounted in them.
    for source, target, device in sorted(wanted, key=lambda each: PurePosixPath(each[1]).parts):
        if not source.exists():
            raise MachineTrouble(f"{source}: not there, so no sandbox can show it. Make it, or leave it out.")
        for place, folder in own.items():
            if PurePosixPath(target).is_relative_to(place) and target != place:
                _make_place(folder, PurePosixPath(target).relative_to(place), is_folder=source.is_dir())
        orders.append(MountOrder(source=str(source.resolve()), target=target, writable=device, device=device))
    return orders


def outside(path: str, own: Mapping[str, Path]) -> str:
    """Where a path within a sandbox's own folders lies on this machine."""
    for place, folder in own.items():
        if PurePosixPath(path).is_relative_to(place):
            return str(folder / PurePosixPath(path).relative_to(place))
    return path


def endpoint_mount(socket_path: Path) -> MountOrder:
    """The one way out: the socket of this installation's relay."""
    return MountOrder(source=str(socket_path), target=ENDPOINT_SOCKET, writable=True)


def _make_place(folder: Path, path: PurePosixPath, *, is_folder: bool) -> None:
    """Make a place to mount on, in a folder that a program may have written to: no link is followed."""
    place = folder
    for number, part in enumerate(path.parts):
        place /= part
        if place.is_symlink():
            raise MachineTrouble(f"{place}: a symbolic link stands where a sandbox is to show something. Remove it.")
        if not place.exists():
            if number < len(path.parts) - 1 or is_folder:
                place.mkdir()
            else:
                place.touch()
