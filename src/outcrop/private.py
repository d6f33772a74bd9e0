"""Folders and files that belong to this user alone, on a machine that others use too.

What lies at a place that others could have guessed is looked at before it is used: a link, a folder of somebody else
and one that is open to others are refused. What this program makes is closed to others whatever the umask says.
"""

import errno
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

ROOT_KEY, ROOT_KEY_COMMAND = "OUTCROP_ROOT_KEY", "OUTCROP_ROOT_KEY_COMMAND"
NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND = "OUTCROP_NEW_ROOT_KEY", "OUTCROP_NEW_ROOT_KEY_COMMAND"
DATABASE_URL = "OUTCROP_DATABASE_URL"
"Environment variables for processes that open the database, and for no others: see `machine/environment.py`."
MODEL_KEYS = "OUTCROP_MODEL_KEYS"
"The one for an engine of sealed weights, with their data keys; handed on to nobody."
_OTHERS = 0o077
_LONGEST_SOCKET_BYTES = 107
"A Unix socket's path has 108 bytes, with the one that ends it."
_SOCKET_NAME_BYTES = 32
_SOCKETS, _RECORD = "sockets", "sockets.path"
_FOLDERS = ("objects", "models", "runs", "keys", "logs", "log-events", "hub", "vectors", "cluster", _SOCKETS)
_FILES = ("models.toml", "stores.toml", "parts.json", "cluster.json", "up.lock", _RECORD)
_DATABASE = "outcrop.db"
_users: int | None = None


class NotPrivate(PermissionError):
    """A place that others may have prepared, or may look into."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.strerror = sentence


def only_ours() -> None:
    """Files that this process makes from now on are closed to others."""
    global _users
    before = os.umask(_OTHERS)
    _users = before if _users is None else _users


def users_umask() -> int:
    """The umask that the user started with; -1 when nobody changed it. It is for what is made in the user's own
    places."""
    return -1 if _users is None else _users


def open_as_the_user_would(paths: Iterable[Path]) -> None:
    """Give new files and folders in the user's own places the rights that the user's umask leaves."""
    if _users is not None:
        for path in paths:
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_users)


def private_folder(path: Path) -> Path:
    """The folder at `path`, this user's alone; made where it is absent. Raises NotPrivate, or OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        raise NotPrivate(f"{path}: a link, which others may have laid there. Remove it, and start again.")
    if not stat.S_ISDIR(state.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    if state.st_uid != os.geteuid():
        raise NotPrivate(f"{path}: belongs to another user (uid {state.st_uid}), who could read what is put there.")
    if state.st_mode & _OTHERS:
        mode = stat.S_IMODE(state.st_mode)
        raise NotPrivate(f"{path}: open to others on this machine (mode {mode:04o}). Run: chmod 700 '{path}'")
    return path


def close_to_others(path: Path) -> bool:
    """Take group's and others' rights at a file or folder away; whether there were any. Links are left alone."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(state.st_mode) or not state.st_mode & _OTHERS:
        return False
    path.chmod(stat.S_IMODE(state.st_mode) & ~_OTHERS)
    return True


def close_home(home: Path) -> int:
    """Close a home to others, with what earlier versions or another umask left open; how many places that were.

    Only what this program puts there is touched. A folder that is closed already is not gone through. Raises OSError.
    """
    # The home first: nobody can exchange anything in it for a link meanwhile.
    found = int(home.is_dir() and _close_given(home))
    names = [*_FILES, *(f"{_DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal"))]
    found += sum(close_to_others(home / name) for name in names)
    for name in _FOLDERS:
        folder = home / name
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_mode & _OTHERS:
            # The folder itself last: after a crash the next start finds it open, and goes through it again.
            found += sum(close_to_others(each) for each in _below(folder)) + close_to_others(folder)
    return found


def _close_given(home: Path) -> bool:
    """The home may be reached by a link: the user chose it."""
    return close_to_others(home.resolve())


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            yield Path(place) / name


def socket_folder(home: Path) -> Path:
    """Where the sockets of a home's processes are, or will be; `make_socket_folder` decides, and notes it down."""
    with suppress(FileNotFoundError):
        return Path((home / _RECORD).read_text("utf-8").strip())
    return home / _SOCKETS


def make_socket_folder(home: Path) -> Path:
    """A private folder for sockets: in the home, else in the user's runtime directory, else one with a random name.

    A home may have too long a path for sockets, or a file system without them. Raises NotPrivate, or OSError.
    """
    own = home / _SOCKETS
    if _takes_sockets(own):
        (home / _RECORD).unlink(missing_ok=True)
        return own
    noted = socket_folder(home)
    with suppress(OSError):
        if noted != own and noted.is_dir() and _takes_sockets(noted):
            return noted
    for place in _elsewhere():
        if _takes_sockets(place):
            _note(home, place)
            return place
    raise NotPrivate(
        f"{home}: no place for sockets: its path is too long for them, and so is {tempfile.gettempdir()}. "
        "Choose a home with a shorter path, or set TMPDIR to a short folder."
    )


def forget_socket_folder(home: Path) -> None:
    """Forget where sockets were, once their folder is gone."""
    (home / _RECORD).unlink(missing_ok=True)


def _elsewhere() -> Iterator[Path]:
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir():
        with suppress(OSError):
            yield private_folder(Path(given)) / f"outcrop-{secrets.token_hex(6)}"
    made = Path(tempfile.mkdtemp(prefix="outcrop-"))
    yield made
    made.rmdir()  # asked for more: it takes no sockets either


def _takes_sockets(folder: Path) -> bool:
    if len(os.fsencode(folder)) + _SOCKET_NAME_BYTES > _LONGEST_SOCKET_BYTES:
        return False
    place = private_folder(folder) / f".{secrets.token_hex(6)}"
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(place))
    except OSError:
        return False
    finally:
        place.unlink(missing_ok=True)
    return True


def _note(home: Path, folder: Path) -> None:
    draft = home / f".{_RECORD}.{secrets.token_hex(6)}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{folder}\n")
    draft.replace(home / _RECORD)
